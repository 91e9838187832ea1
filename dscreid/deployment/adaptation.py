"""Judge without labels whether an adaptation helped, from the features of the same tracklets before and after."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from dscreid.deployment.verdict import CYCLES, NEAR, Change, Comparison
from dscreid.errors import LabelingError
from dscreid.evaluation import FeatureTable
from dscreid.evaluation.bootstrap import draw_clusters, resampled_means
from dscreid.neighbors.knn import knn
from dscreid.pseudo_labels import Labeler, PseudoLabels
from dscreid.pseudo_labels.clustering.silhouette import silhouettes
from dscreid.pseudo_labels.criteria import JudgedRound
from dscreid.structures import Modality, TrackletFeatures

_CONFIDENCE, _REPEATS = 0.95, 1000
#: With fewer clusters and outliers than this, the intervals of a bootstrap over them are too narrow to be trusted.
FEWEST_UNITS = 10
_NAMES = {Modality.RGB: 'visible', Modality.IR: 'infrared'}


class Side(NamedTuple):
    """Input of the measures from the features before or after; per tracklet unless stated otherwise."""

    labels: PseudoLabels  #: clusters of each modality
    trips: dict[Modality, np.ndarray]  #: see :attr:`JudgedRound.trips`
    silhouette: np.ndarray  #: float64 (N,), 0 for outliers
    nearest: np.ndarray  #: float64 (N,), cosine similarity of the nearest tracklet of the other modality
    pairs: np.ndarray  #: float64 (P,), cosine similarity of the pairs of different people


def compare(
    before: FeatureTable,
    after: FeatureTable,
    clustering: Labeler,
    pairs: np.ndarray,
    seed: int = 0,
    held_out: bool = False,
) -> Comparison:
    """Compare the features of the same tracklets before and after an adaptation.

    Measures: cycle consistency, the share of clustered tracklets whose trip to the nearest tracklet of the other
    modality and back ends in the same cluster; the silhouette of each modality's clusters, outliers as 0; and the share
    of ``pairs`` that are nearer than the median tracklet is to its nearest one of the other modality.

    Cycle consistency is the mean over both modalities and over two clusterings, those of the features before and after.
    Both clusterings judge the trips of both sides, because larger clusters have more trips that end in their own
    cluster. The measure is undefined if one clustering found no cluster.

    Tracklets of one person are not independent, so the bootstrap draws whole clusters of the features before; outliers
    are drawn singly. With fewer than ``FEWEST_UNITS`` clusters and outliers, no change has an interval.

    Args:
        before: Features with ``static`` and ``dynamic``.
        after: The same tracklets in the same order.
        clustering: Labeler that clusters each modality, such as ``ClusterLabeler``.
        pairs: int64 (P, 2), rows of tracklets of different people; see ``different_people``.
        seed: Seed of the bootstrap.
        held_out: Whether the adaptation has not used the tracklets.
    """
    if not np.array_equal(before.index, after.index) or not np.array_equal(before.modality, after.modality):
        raise ValueError('the features before and after must be of the same tracklets in the same order')
    sides = side_of(before, clustering, pairs), side_of(after, clustering, pairs)
    rows = _rows(before)
    units = _units(sides[0].labels, rows)
    draws = draw_clusters(units.max(initial=-1) + 1, _REPEATS, seed)
    if draws.shape[1] < FEWEST_UNITS:
        draws = np.zeros_like(draws)  # draws of nothing, whose means are undefined
    judges = [side.labels for side in sides]
    cycles = [_mean_cycles(side.trips, judges, rows, units, draws) for side in sides]
    changes = [_change(CYCLES, True, *zip(*cycles, strict=True))]
    for modality, name in _NAMES.items():
        parts = [side.silhouette[rows[modality]] for side in sides]
        samples = [_resampled(part, units[rows[modality]], draws) for part in parts]
        changes.append(_change(f'silhouette, {name}', True, [_mean(part) for part in parts], samples))
    each_once = np.ones((1, draws.shape[1]), np.int64)
    shares = [near_share(side, pairs, units, each_once)[0] for side in sides]
    samples = [near_share(side, pairs, units, draws) for side in sides]
    changes.append(_change(NEAR, False, shares, samples))
    clusters = {m: (sides[0].labels.num_clusters(m), sides[1].labels.num_clusters(m)) for m in Modality}
    return Comparison(tuple(changes), clusters, held_out)


def side_of(table: FeatureTable, clustering: Labeler, pairs: np.ndarray) -> Side:
    """Cluster the features of a table and compute what the measures need."""
    rows, labels = _rows(table), cluster_table(table, clustering)
    visible, infrared = _features(table).values()
    judged = JudgedRound(visible, infrared, labels)
    silhouette, nearest = (np.full(len(table), math.nan) for _ in range(2))
    joined = torch.zeros(len(table), judged.descriptors[Modality.RGB].shape[1])
    for modality, own in rows.items():
        descriptors = judged.descriptors[modality]
        silhouette[own] = silhouettes(descriptors, labels.of(modality))
        nearest[own] = knn(descriptors, judged.descriptors[modality.other], 1)[0][:, 0].numpy()
        joined[torch.from_numpy(own)] = descriptors
    similarity = (joined[pairs[:, 0]] * joined[pairs[:, 1]]).sum(dim=1).double().numpy()
    return Side(labels, judged.trips, silhouette, nearest, similarity)


def cluster_table(table: FeatureTable, clustering: Labeler) -> PseudoLabels:
    """Cluster each modality of a table; without any cluster in one of them, all tracklets are outliers."""
    visible, infrared = _features(table).values()
    try:
        return clustering(visible, infrared)
    except LabelingError:
        return PseudoLabels(*(np.full(len(one), -1, np.int64) for one in (visible, infrared)), shared=False)


def near_share(side: Side, pairs: np.ndarray, units: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Share of the pairs of different people that are nearer than the median nearest tracklet of the other modality.

    Args:
        side: Features before or after.
        pairs: int64 (P, 2), rows of the pairs.
        units: int64 (N,) in [0, C), the unit that each tracklet is drawn with.
        draws: int64 (B, C), how often each unit is drawn.

    Returns:
        float64 (B,), one for each draw; NaN for a draw without a pair.
    """
    shares = np.full(len(draws), math.nan)
    for number, drawn in enumerate(draws if len(pairs) else ()):
        draw = drawn[units]
        weights = draw[pairs[:, 0]] * draw[pairs[:, 1]]
        if total := weights.sum():
            shares[number] = weights[side.pairs > np.median(np.repeat(side.nearest, draw))].sum() / total
    return shares


def _rows(table: FeatureTable) -> dict[Modality, np.ndarray]:
    names = np.array(table.modalities)
    return {modality: np.flatnonzero(names == modality.value) for modality in Modality}


def _features(table: FeatureTable) -> dict[Modality, TrackletFeatures]:
    """Split the halves of a table by modality."""
    if table.static is None or table.dynamic is None:
        raise ValueError('the features must have their static and dynamic halves')
    halves = torch.from_numpy(table.static), torch.from_numpy(table.dynamic)
    return {m: TrackletFeatures(*(half[torch.from_numpy(rows)] for half in halves)) for m, rows in _rows(table).items()}


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _resampled(values: np.ndarray, units: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Mean of the values (N,) that are not NaN in each draw of their units, int64 (B, C): float64 (B,)."""
    known = ~np.isnan(values)
    return resampled_means(values[known, None], units[known], draws)[:, 0]


def _units(labels: PseudoLabels, rows: Mapping[Modality, np.ndarray]) -> np.ndarray:
    """Number what the bootstrap draws, int64 (N,): the clusters of each modality, and each outlier."""
    units, num = np.zeros(sum(map(len, rows.values())), np.int64), 0
    for modality, own in rows.items():
        found = labels.of(modality)
        outliers = np.flatnonzero(found < 0)
        units[own] = num + found
        num += labels.num_clusters(modality)
        units[own[outliers]] = num + np.arange(len(outliers))
        num += len(outliers)
    return units


def _mean_cycles(
    trips: Mapping[Modality, np.ndarray],
    judges: Sequence[PseudoLabels],
    rows: Mapping[Modality, np.ndarray],
    units: np.ndarray,
    draws: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Mean over clusterings and modalities of the share of clustered tracklets whose trip ends in their own cluster.

    Returns it for all tracklets, and float64 (B,) for draws, int64 (B, C), of their units; NaN if a share is undefined.
    """
    values, samples = [], []
    for labels in judges:
        for modality, own in rows.items():
            found = labels.of(modality)
            closed = np.where(found >= 0, found[trips[modality]] == found, math.nan)
            values.append(_mean(closed))
            samples.append(_resampled(closed, units[own], draws))
    return float(np.mean(values)), np.mean(samples, axis=0)


def _change(name: str, higher_is_better: bool, values: Sequence[float], samples: Sequence[np.ndarray]) -> Change:
    difference = samples[1] - samples[0]
    difference = difference[~np.isnan(difference)]
    low = high = math.nan
    if len(difference) and not np.isnan(values).any():
        low, high = np.quantile(difference, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]).tolist()
    return Change(name, higher_is_better, float(values[0]), float(values[1]), low, high)
