"""Check from the index of a test split whether a protocol can be evaluated on it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from dscreid.errors import DatasetError
from dscreid.evaluation.protocols import Direction, protocol_directions
from dscreid.structures import Tracklet


class TestSplit(Protocol):
    """Attributes of ``TrackletDataset`` that are used here."""

    tracklets: Sequence[Tracklet]
    same_as: np.ndarray
    wheres: Sequence[str] | None


class DirectionCount(NamedTuple):
    """Numbers of queries, of queries with a true match, and of gallery tracklets of one direction."""

    queries: int
    valid: int
    gallery: int


class EvaluationPlan(NamedTuple):
    """Sizes of a protocol's directions on a test split."""

    directions: Mapping[str, DirectionCount]  #: sizes by direction
    unranked: np.ndarray  #: int64 (n,), rows that no direction uses
    own_gallery: int  #: number of queries whose own tracklet is in their gallery; the ranking leaves it out


def plan_evaluation(dataset: TestSplit, protocol: str) -> EvaluationPlan | None:
    """Count the queries with a true match in every direction of a protocol.

    Returns:
        The counts, or None if the split has no person ids.

    Raises:
        ConfigError: If the protocol does not exist.
        DatasetError: If a direction has no queries, an empty gallery or no true match.
    """
    tracklets = dataset.tracklets
    if not any(_known(tracklet) for tracklet in tracklets):
        return None
    flags = [t.modality for t in tracklets], [t.is_query for t in tracklets]
    directions = protocol_directions(protocol, *flags, dataset.wheres)
    counts = {name: _count(direction, dataset) for name, direction in directions.items()}
    own: set[int] = set()
    used = np.zeros(len(tracklets), dtype=bool)
    for name, direction in directions.items():
        if not counts[name].valid:
            raise DatasetError(
                f'protocol {protocol} cannot be measured: none of the {counts[name].queries} queries of {name} has a '
                f'true match among the {counts[name].gallery} gallery tracklets; {_reason(direction, tracklets)}'
            )
        in_gallery = np.isin(dataset.same_as[direction.query], dataset.same_as[direction.gallery])
        own.update(direction.query[in_gallery].tolist())
        used[direction.query] = used[direction.gallery] = True
    return EvaluationPlan(counts, np.flatnonzero(~used), len(own))


def _count(direction: Direction, dataset: TestSplit) -> DirectionCount:
    gallery: dict[int | None, list[int]] = {}
    for row in direction.gallery.tolist():
        gallery.setdefault(dataset.tracklets[row].pid, []).append(row)
    valid = 0
    for row in direction.query.tolist():
        query = dataset.tracklets[row]
        valid += _known(query) and any(
            dataset.same_as[match] != dataset.same_as[row]
            and not (direction.drop_same_camera and dataset.tracklets[match].camera == query.camera)
            for match in gallery.get(query.pid, ())
        )
    return DirectionCount(len(direction.query), valid, len(direction.gallery))


def _known(tracklet: Tracklet) -> bool:
    """Check whether the person is known. Unknown persons, such as distractors, never match."""
    return tracklet.pid is not None and tracklet.pid >= 0


def _reason(direction: Direction, tracklets: Sequence[Tracklet]) -> str:
    if not direction.drop_same_camera:
        return 'check the person ids and the query list'
    cameras = {tracklets[row].camera for rows in (direction.query, direction.gallery) for row in rows}
    if len(cameras) == 1:
        return 'all of them are under one camera, and matches under the camera of the query do not count'
    return 'matches under the camera of the query do not count; check the person ids, cameras and query list'
