"""Describe a target before adaptation: clusters, nearest neighbors, agreement of the halves. Reads the labels."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.errors import DatasetError
from dscreid.evaluation.ranking import rank_queries
from dscreid.evaluation.scores import InnerProduct
from dscreid.lab.density_study import LabeledFeatures
from dscreid.pseudo_labels import ari_of_all, choose_for_same_people
from dscreid.pseudo_labels.clustering.dbscan import cluster
from dscreid.pseudo_labels.descriptors import joined_halves
from dscreid.structures import Modality

HALVES = 'static', 'dynamic', 'both'
_BLOCK = 4096


class HalfStatistics(NamedTuple):
    """Of one half, or of both: shares in [0, 1] of tracklets whose nearest neighbor shows the same person."""

    within: dict[Modality, float]  #: nearest other tracklet of the same modality
    across: dict[Modality, float]  #: nearest tracklet of the other modality, by the modality of the query
    mean_ap: float  #: mAP of both directions across modalities, all tracklets as queries, in [0, 1]


class TargetStatistics(NamedTuple):
    """Statistics of a target's training split with the features of a source model."""

    tracklets: dict[Modality, int]
    identities: int  #: number of persons of both modalities
    ari: dict[Modality, float]  #: adjusted Rand index of the clusters found with automatic settings, outliers alone
    halves: dict[str, HalfStatistics]  #: by name in ``HALVES``
    #: Pearson correlation over queries of the average precisions of the static and the dynamic half, in [-1, 1]
    error_correlation: float


def target_statistics(target: Mapping[Modality, LabeledFeatures]) -> TargetStatistics:
    """Describe a target, as :func:`~dscreid.lab.density_study.read_target` reads it.

    Raises:
        DatasetError: If a modality has no tracklets, or no person appears in both.
    """
    rgb, ir = (target[modality] for modality in Modality)
    if not np.intersect1d(rgb.pids, ir.pids).size:
        raise DatasetError('no person of the target has tracklets of both modalities; there is nothing to compare')
    joined = {modality: joined_halves(part.features) for modality, part in target.items()}
    chosen = choose_for_same_people(list(joined.values()), [{}] * len(joined))
    ari = {
        modality: ari_of_all(cluster(joined[modality], choice.settings), target[modality].pids)
        for modality, choice in zip(joined, chosen, strict=True)
    }
    features = {half: {m: _feature(target[m], half) for m in Modality} for half in HALVES}
    pids = {modality: part.pids for modality, part in target.items()}
    precisions = {half: _average_precisions(features[half], pids) for half in HALVES}
    halves = {
        half: HalfStatistics(
            within={m: _nearest_is_right(own[m], pids[m], own[m], pids[m], itself=True) for m in Modality},
            across={m: _nearest_is_right(own[m], pids[m], own[o], pids[o]) for m, o in _pairs()},
            mean_ap=float(np.mean([np.nanmean(one) for one in precisions[half]])),
        )
        for half, own in features.items()
    }
    return TargetStatistics(
        tracklets={modality: len(part.pids) for modality, part in target.items()},
        identities=len(np.union1d(rgb.pids, ir.pids)),
        ari=ari,
        halves=halves,
        error_correlation=_correlation(precisions['static'], precisions['dynamic']),
    )


def statistics_markdown(targets: Mapping[str, TargetStatistics]) -> str:
    """Format the statistics of targets by name as Markdown: clusters, and nearest neighbors of each half."""
    lines = [
        '| target | persons | tracklets RGB, IR | ARI RGB, IR | ranked by | mAP | right nearest within RGB, IR '
        '| right nearest RGB→IR, IR→RGB | correlation of halves |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for name, found in targets.items():
        size = f'{found.identities} | {_both(found.tracklets, "{}")} | {_both(found.ari, "{:.2f}")}'
        for half, own in found.halves.items():
            correlation = f'{found.error_correlation:.2f}' if half == 'both' else ''
            shares = f'{_both(own.within, "{:.0%}")} | {_both(own.across, "{:.0%}")}'
            lines.append(f'| {name} | {size} | {half} | {100 * own.mean_ap:.1f} | {shares} | {correlation} |')
            name, size = '', ' | | '
    return '\n'.join(lines) + '\n'


def _both(values: Mapping[Modality, float], form: str) -> str:
    return ', '.join(form.format(values[modality]) for modality in Modality)


def _pairs() -> Iterator[tuple[Modality, Modality]]:
    yield Modality.RGB, Modality.IR
    yield Modality.IR, Modality.RGB


def _feature(part: LabeledFeatures, half: str) -> Tensor:
    static, dynamic = (F.normalize(one, dim=1) for one in (part.features.static, part.features.dynamic))
    return {'static': static, 'dynamic': dynamic, 'both': torch.cat([static, dynamic], dim=1)}[half]


def _nearest_is_right(
    query: Tensor, query_pids: np.ndarray, gallery: Tensor, gallery_pids: np.ndarray, itself: bool = False
) -> float:
    """Return the share of queries whose nearest tracklet shows the same person; ``itself`` leaves out the query."""
    right = 0
    for start in range(0, len(query), _BLOCK):
        scores = query[start : start + _BLOCK] @ gallery.T
        if itself:
            rows = torch.arange(len(scores))
            scores[rows, start + rows] = -torch.inf
        nearest = scores.argmax(dim=1).numpy()
        right += int((gallery_pids[nearest] == query_pids[start : start + _BLOCK]).sum())
    return right / len(query)


def _average_precisions(features: Mapping[Modality, Tensor], pids: Mapping[Modality, np.ndarray]) -> list[np.ndarray]:
    """Return the average precision of each query in both directions; NaN without a match."""
    found = []
    for query, gallery in _pairs():
        cameras = np.zeros(len(pids[query]), np.int64), np.ones(len(pids[gallery]), np.int64)
        scores = InnerProduct(features[query], features[gallery])
        ranks = rank_queries(scores, pids[query], cameras[0], pids[gallery], cameras[1])
        found.append(ranks.average_precision)
    return found


def _correlation(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    a, b = np.concatenate(first), np.concatenate(second)
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 2 or not np.ptp(a[known]) or not np.ptp(b[known]):
        return float('nan')
    return float(np.corrcoef(a[known], b[known])[0, 1])
