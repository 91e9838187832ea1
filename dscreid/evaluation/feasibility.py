"""Check from the index of a test split whether a protocol can be evaluated on it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dscreid.datasets import TrackletDataset
from dscreid.errors import DatasetError
from dscreid.evaluation.feature_file import MODALITY_CODES, UNKNOWN, FeatureTable
from dscreid.evaluation.ranking import count_matches


class DirectionCount(NamedTuple):
    """Numbers of queries, of queries with a true match, and of gallery tracklets of one direction."""

    queries: int
    valid: int
    gallery: int  # of one trial


class EvaluationPlan(NamedTuple):
    """Sizes of a protocol's directions on a test split."""

    directions: Mapping[str, DirectionCount]  #: sizes by direction
    unranked: np.ndarray  #: int64 (n,), rows that no direction uses
    own_gallery: int  #: number of queries whose own tracklet is in their gallery; the ranking leaves it out


def plan_evaluation(dataset: TrackletDataset, protocol: str) -> EvaluationPlan | None:
    """Count the queries with a true match in every direction of a protocol; DatasetError if there are none.

    Returns the counts, or None if the split has no person ids.
    """
    table = _without_features(dataset)
    if (table.pid < 0).all():
        return None
    counts = {}
    used, own = np.zeros((2, len(table)), dtype=bool)
    for name, direction in table.directions(protocol, dataset.wheres).items():
        used[direction.query] = used[direction.gallery] = True
        first = direction.trials()[0]  # all trials draw from the same persons and cameras
        query, gallery, drop = first[:3]
        valid = int((count_matches(table.identities(first)) > 0).sum())
        if not valid:
            raise DatasetError(
                f'protocol {protocol} cannot be measured: none of the {len(query)} queries of {name} has a '
                f'true match among the {len(gallery)} gallery tracklets{" of other cameras" if drop else ""}; check '
                'the person ids, cameras and query list'
            )
        counts[name] = DirectionCount(len(query), valid, len(gallery))
        own[query] |= np.isin(table.tracklet[query], table.tracklet[gallery])
    return EvaluationPlan(counts, np.flatnonzero(~used), int(own.sum()))


def _without_features(dataset: TrackletDataset) -> FeatureTable:
    facts = [
        (UNKNOWN if one.pid is None else one.pid, one.camera, MODALITY_CODES[one.modality], one.is_query)
        for one in dataset.tracklets
    ]
    pid, camera, modality, is_query = np.array(facts, dtype=np.int64).reshape(-1, 4).T
    nothing, index = np.zeros((len(facts), 0), np.float32), np.arange(len(facts))
    return FeatureTable(nothing, pid, camera, modality, is_query.astype(bool), index, same_as=dataset.same_as)
