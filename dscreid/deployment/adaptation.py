"""Whether an adaptation helped, judged without labels from the features of the same tracklets before and after."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple

import numpy as np
import torch

from dscreid.errors import LabelingError
from dscreid.evaluation import FeatureTable
from dscreid.evaluation.bootstrap import draw_clusters
from dscreid.neighbors.knn import knn
from dscreid.pseudo_labels import Labeler, PseudoLabels
from dscreid.pseudo_labels.clustering.silhouette import silhouettes
from dscreid.pseudo_labels.criteria import JudgedRound
from dscreid.structures import Modality, TrackletFeatures

HELPED, UNCLEAR, HARMED = 'probably helped', 'no clear change', 'probably harmed'
#: Printed with every verdict.
CAVEAT = (
    'Do not decide by this verdict alone: the adaptation has used these tracklets, which flatters it. Of 18 '
    'adaptations to rendered worlds, it recognized 13 of 15 that helped, but called one of two that harmed helpful.'
)
RULE = (
    'A measure is clearly better or worse if the 95% interval of its change excludes 0. Probably helped: cycle '
    'consistency is clearly better, different people are not clearly nearer, and no modality keeps fewer than half of '
    'its clusters. Probably harmed: cycle consistency is clearly worse, or different people are clearly nearer while '
    'it is not clearly better. Otherwise no clear change. Silhouettes do not count: they also fall when modalities '
    'are aligned. None of this can tell if people are consistently matched with wrong people.'
)
_CONFIDENCE, _REPEATS = 0.95, 1000
#: Maximum number of pairs of different people that are compared; more are sampled.
_MOST_PAIRS = 20_000
_CYCLES, _NEAR = 'cycle consistency', 'different people near'
_NAMES = {Modality.RGB: 'visible', Modality.IR: 'infrared'}


@dataclass(frozen=True)
class Change:
    """A measure before and after, and the interval of its change; all NaN if it is undefined.

    Attributes:
        name: What is measured.
        higher_is_better: Whether an increase is an improvement.
        before: Value before the adaptation.
        after: Value after it.
        low: Lower bound of ``after - before``, from a bootstrap over tracklets.
        high: Upper bound.
    """

    name: str
    higher_is_better: bool
    before: float
    after: float
    low: float
    high: float

    @property
    def direction(self) -> str:
        """``'better'``, ``'worse'``, ``'unclear'``, or ``'undefined'``."""
        if math.isnan(self.low) or math.isnan(self.high):
            return 'undefined'
        if self.low <= 0 <= self.high:
            return 'unclear'
        return 'better' if (self.low > 0) == self.higher_is_better else 'worse'


@dataclass(frozen=True)
class Comparison:
    """All measures, and the number of clusters of each modality before and after."""

    changes: tuple[Change, ...]
    clusters: Mapping[Modality, tuple[int, int]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``HELPED``, ``UNCLEAR`` or ``HARMED`` by ``RULE``."""
        directions = {change.name: change.direction for change in self.changes}
        cycles, near = directions[_CYCLES], directions[_NEAR]
        collapsed = any(2 * after < before for before, after in self.clusters.values())
        if cycles == 'worse' or (near == 'worse' and cycles != 'better'):
            return HARMED
        if cycles == 'better' and near != 'worse' and not collapsed:
            return HELPED
        return UNCLEAR


class Side(NamedTuple):
    """What the measures need of the features before or after, per tracklet where not stated otherwise."""

    labels: PseudoLabels  #: clusters of each modality
    trips: dict[Modality, np.ndarray]  #: see :attr:`JudgedRound.trips`
    silhouette: np.ndarray  #: float64 (N,), 0 for outliers
    nearest: np.ndarray  #: float64 (N,), cosine similarity of the nearest tracklet of the other modality
    pairs: np.ndarray  #: float64 (P,), cosine similarity of the pairs of different people


def compare(
    before: FeatureTable, after: FeatureTable, clustering: Labeler, pairs: np.ndarray, seed: int = 0
) -> Comparison:
    """Compare the features of the same tracklets before and after an adaptation.

    Measures: cycle consistency, the share of clustered tracklets whose trip to the nearest tracklet of the other
    modality and back ends in the same cluster; the silhouette of each modality's clusters, outliers as 0; and the share
    of ``pairs`` that are nearer than the median tracklet is to its nearest one of the other modality.

    Cycle consistency is the mean over both modalities and over two clusterings, those of the features before and after.
    Both judge the trips of both sides, because the larger its clusters, the more trips end in their own. It is
    undefined if one of them found no cluster.

    Tracklets of one person are not independent, so the bootstrap draws whole clusters of the features before; outliers
    are drawn alone.

    Args:
        before: Features with ``static`` and ``dynamic``.
        after: The same tracklets in the same order.
        clustering: Labeler that clusters each modality, such as ``ClusterLabeler``.
        pairs: int64 (P, 2), rows of tracklets of different people; see :func:`different_people`.
        seed: Seed of the bootstrap.
    """
    if not np.array_equal(before.index, after.index) or not np.array_equal(before.modality, after.modality):
        raise ValueError('the features before and after must be of the same tracklets in the same order')
    sides = side_of(before, clustering, pairs), side_of(after, clustering, pairs)
    rows = _rows(before)
    units = _units(sides[0].labels, rows)
    draws = draw_clusters(units.max(initial=-1) + 1, _REPEATS, seed)[:, units]
    judges = [side.labels for side in sides]
    cycles = [_mean_cycles(side.trips, judges, rows, draws) for side in sides]
    changes = [_change(_CYCLES, True, *zip(*cycles, strict=True))]
    for modality, name in _NAMES.items():
        parts = [side.silhouette[rows[modality]] for side in sides]
        samples = [_resampled_means(part, draws[:, rows[modality]]) for part in parts]
        changes.append(_change(f'silhouette, {name}', True, [_mean(part) for part in parts], samples))
    shares = [near_share(side, pairs, np.ones((1, len(before)), np.int64))[0] for side in sides]
    samples = [near_share(side, pairs, draws) for side in sides]
    changes.append(_change(_NEAR, False, shares, samples))
    clusters = {m: (sides[0].labels.num_clusters(m), sides[1].labels.num_clusters(m)) for m in Modality}
    return Comparison(tuple(changes), clusters)


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


def near_share(side: Side, pairs: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Share of the pairs of different people that are nearer than the median nearest tracklet of the other modality.

    Returns:
        float64 (B,), one for each draw of tracklets, int64 (B, N); NaN for a draw without a pair.
    """
    shares = np.full(len(draws), math.nan)
    for number, draw in enumerate(draws if len(pairs) else ()):
        weights = draw[pairs[:, 0]] * draw[pairs[:, 1]]
        if total := weights.sum():
            shares[number] = weights[side.pairs > np.median(np.repeat(side.nearest, draw))].sum() / total
    return shares


def different_people(
    cameras: np.ndarray,
    modalities: Sequence[str],
    times: Sequence[tuple[datetime | None, datetime | None]],
    most: int = _MOST_PAIRS,
    seed: int = 0,
) -> np.ndarray:
    """Find pairs of tracklets that one sensor saw at the same time, which are different people.

    Args:
        cameras: int64 (N,).
        modalities: Modality of each tracklet. Two sensors of one camera may see one person.
        times: First and last time of each tracklet. Without a first time it is in no pair; without a last one, it
            covers only the first.
        most: Maximum number of pairs; more are sampled at random.
        seed: Seed of the sample.

    Returns:
        int64 (P, 2), pairs of rows.
    """
    sensors: dict[tuple, list[tuple[float, float, int]]] = {}
    for row, (start, end) in enumerate(times):
        if start is not None:
            # times without a time zone cannot be compared with others
            sensor = (int(cameras[row]), modalities[row], start.tzinfo is None)
            sensors.setdefault(sensor, []).append((_seconds(start), _seconds(end or start), row))
    firsts, counts, orders, offset = [], [], [], 0
    for spans in sensors.values():
        spans.sort()
        starts, ends = np.array([span[0] for span in spans]), np.array([span[1] for span in spans])
        firsts.append(offset + np.arange(len(spans)))
        counts.append(np.searchsorted(starts, ends, side='right') - np.arange(len(spans)) - 1)
        orders += [span[2] for span in spans]
        offset += len(spans)
    if not orders:
        return np.zeros((0, 2), np.int64)
    first, count, order = np.concatenate(firsts), np.concatenate(counts), np.array(orders, dtype=np.int64)
    bounds = np.cumsum(count)
    numbers = np.arange(bounds[-1])
    if len(numbers) > most:
        numbers = np.sort(np.random.default_rng(seed).choice(len(numbers), most, replace=False))
    place = np.searchsorted(bounds, numbers, side='right')
    partner = first[place] + 1 + numbers - (bounds - count)[place]
    return np.stack([order[first[place]], order[partner]], axis=1)


def refusal(
    counts: Mapping[Modality, int],
    batch: Mapping[Modality, tuple[int, int]],
    min_samples: int = 2,
) -> str | None:
    """Explain in one sentence why tracklets cannot be adapted to, and what would work; None if they can.

    Both modalities are needed, but not two cameras: one camera can have a sensor of each.

    Args:
        counts: Number of tracklets of each modality.
        batch: Clusters, and tracklets of each, that a batch draws of each modality.
        min_samples: Smallest number of tracklets that can form a cluster.
    """
    for modality, name in _NAMES.items():
        if not counts[modality]:
            return (
                f'there are {counts[modality.other]} {_NAMES[modality.other]} tracklets but no {name} one; add a '
                f'folder CAMERA_{modality.value} of another camera, or of a second sensor, that sees the same people, '
                'because adaptation relates both modalities'
            )
    for modality, name in _NAMES.items():
        clusters, each = batch[modality]
        option = f'train_dataloader.sampler.{name}'
        if counts[modality] < clusters * each:
            return (
                f'there are {counts[modality]} {name} tracklets, but a batch draws {clusters * each} ({clusters} '
                f'clusters of {each}); record more, or draw fewer with --cfg-options "{option}=(2, 2)"'
            )
        if counts[modality] < clusters * min_samples:
            return (
                f'there are {counts[modality]} {name} tracklets, too few for {clusters} clusters of at least '
                f'{min_samples} tracklets, which a batch asks for; record at least {clusters * min_samples}, or use '
                f'--cfg-options "{option}=(2, {each})" or a smaller clustering.min_samples'
            )
    return None


def _seconds(time: datetime) -> float:
    return (time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time).timestamp()


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


def _resampled_means(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Mean of the values (N,) that are not NaN in each draw, int64 (B, N): float64 (B,), NaN without any."""
    known = ~np.isnan(values)
    sizes = draws @ known.astype(np.int64)
    return np.where(sizes > 0, draws @ np.where(known, values, 0.0) / np.maximum(sizes, 1), math.nan)


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
    draws: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Mean over clusterings and modalities of the share of clustered tracklets whose trip ends in their own cluster.

    Returns it for all tracklets, and float64 (B,) for draws of them, int64 (B, N); NaN if a share is undefined.
    """
    values, samples = [], []
    for labels in judges:
        for modality, own in rows.items():
            found = labels.of(modality)
            closed = np.where(found >= 0, found[trips[modality]] == found, math.nan)
            values.append(_mean(closed))
            samples.append(_resampled_means(closed, draws[:, own]))
    return float(np.mean(values)), np.mean(samples, axis=0)


def _change(name: str, higher_is_better: bool, values: Sequence[float], samples: Sequence[np.ndarray]) -> Change:
    difference = samples[1] - samples[0]
    difference = difference[~np.isnan(difference)]
    low = high = math.nan
    if len(difference) and not np.isnan(values).any():
        low, high = np.quantile(difference, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]).tolist()
    return Change(name, higher_is_better, float(values[0]), float(values[1]), low, high)
