"""Settings of the clustering, chosen from the density of the unlabelled tracklets themselves.

Everything that k-reciprocal Jaccard distances and DBSCAN ask for follows from one number: how many tracklets an
identity has. With ``k1`` near it, one ``eps`` serves all densities, since the Jaccard distance is relative to the
neighbourhoods that it compares (:func:`settings_for`). The number itself shows in two ways, neither of which needs a
label:

1. Neighbourhoods of exactly an identity's size are mutual: whoever is among my k nearest has me among its k nearest.
   Smaller ones cut identities at random, larger ones reach for whoever comes next, so the share of mutual neighbours
   has a kink at that size (:func:`mutual_neighbor_rates`, :func:`neighborhood_scales`).
2. The silhouette of the clusters themselves, outliers counted as 0.

The silhouette alone falls for near-duplicates: several tracklets of a person by one camera are tighter clusters than
the person. They show as a second kink at a larger size. The choice (:func:`choose_settings`) is therefore the largest
silhouette from the largest believable kink on. The rule and its constants were found on synthetic worlds
(``tools/analysis/density_study.py``); it has no published source.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dscreid.pseudo_labels.clustering import dbscan
from dscreid.pseudo_labels.jaccard import jaccard_of_neighbors, nearest_tracklets
from dscreid.pseudo_labels.silhouette import silhouette

#: Steps of a fifth to a third: between them the adjusted Rand index changes by a few hundredths.
_CANDIDATES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 48, 56)
#: Neighbours whose mutuality is measured: kinks up to 56 show, and identities beyond do well with k1=56.
_NEIGHBORS = 101
#: A kink is a rate above the mean of those at this many times smaller and larger neighbourhoods.
_KINK_RATIO = 1.8
#: Standard errors by which a kink must stand out.
_SIGNIFICANCE = 3.0
#: A neighbourhood is believed to be of an identity's size if the silhouette there is this share of the largest one
#: and the mean cluster this share of the neighbourhood. Chance kinks at large sizes fail both.
_SILHOUETTE_SHARE, _FILLED_SHARE = 0.6, 0.5
#: A kink's place is known that well.
_SCALE_TOLERANCE = 0.85
#: Once the silhouette has fallen to this share of the largest, at two sizes on end, larger ones are not tried.
_HOPELESS_SHARE = 0.4


@dataclass(frozen=True)
class ClusteringSettings:
    """What k-reciprocal Jaccard distances and DBSCAN need.

    Attributes:
        k1: Neighbours of the Jaccard distance, at least 1.
        k2: Rows averaged in its query expansion, 1 for none.
        eps: DBSCAN radius, in (0, 1).
        min_samples: Tracklets within ``eps``, itself included, that make a core.
    """

    k1: int
    k2: int
    eps: float
    min_samples: int


@dataclass(frozen=True)
class DensityChoice:
    """Settings and what led to them.

    Attributes:
        settings: The choice.
        scales: Sizes of neighbourhood at which the share of mutual neighbours has a kink, ascending.
        silhouettes: Mean silhouette of the clusters, outliers counted as 0, by ``k1``.
        silent: Whether no ``k1`` tried gave two clusters, so that the choice is the smallest.
    """

    settings: ClusteringSettings
    scales: tuple[int, ...] = ()
    silhouettes: dict[int, float] | None = None
    silent: bool = False


def settings_for(
    k1: int, k2: int | None = None, eps: float | None = None, min_samples: int | None = None
) -> ClusteringSettings:
    """The settings that belong to identities of ``k1`` tracklets.

    Args:
        k1: Tracklets per identity, at least 1.
        k2: None for the square root of ``k1``, rounded, in [2, 4] and at most ``k1``.
        eps: None for 0.55.
        min_samples: None for a quarter of ``k1``, rounded, in [2, 4]: 4 as usual, fewer where an identity has too few
            tracklets to form a core of four.
    """
    return ClusteringSettings(
        k1=k1,
        k2=min(k1, int(np.clip(round(k1**0.5), 2, 4))) if k2 is None else k2,
        eps=0.55 if eps is None else eps,
        min_samples=int(np.clip(round(k1 / 4), 2, 4)) if min_samples is None else min_samples,
    )


def mutual_neighbor_rates(rank: np.ndarray) -> np.ndarray:
    """How many of its nearest tracklets have a tracklet among their own nearest.

    Args:
        rank: int (N, K), the nearest tracklets of each, itself first.

    Returns:
        float64 (N, K - 1) in [0, 1]; column c is of the neighbourhoods of c + 2 tracklets, itself included: the share
        of the c + 1 others that count it among theirs.
    """
    num, width = rank.shape
    row = np.repeat(np.arange(num, dtype=np.int64), width)
    column = rank.ravel().astype(np.int64)
    place = np.tile(np.arange(width), num)
    order = np.argsort(row * num + column)
    known = (row * num + column)[order]
    found = np.searchsorted(known, column * num + row).clip(max=max(len(known) - 1, 0))
    mutual = (known[found] == column * num + row) & (row != column)
    # both are within the neighbourhood as soon as the later of the two places is
    level = np.maximum(place, place[order][found])[mutual]
    counts = np.bincount(row[mutual] * width + level, minlength=num * width).reshape(num, width)
    return counts.cumsum(axis=1)[:, 1:] / np.arange(1, width)


def neighborhood_scales(rates: np.ndarray) -> tuple[int, ...]:
    """Sizes of neighbourhood at which the share of mutual neighbours has a significant kink.

    Args:
        rates: float64 (N, K - 1), of :func:`mutual_neighbor_rates`.

    Returns:
        Sizes, the tracklet itself included, ascending: local maxima of the mean rate minus the mean of the rates at
        sizes 1.8 times smaller and larger, which lie three standard errors above 0.
    """
    if rates.shape[0] < 2 or rates.shape[1] < 2:
        return ()
    excess = rates @ _kink_weights(rates.shape[1])
    mean, error = excess.mean(axis=0), excess.std(axis=0, ddof=1) / len(excess) ** 0.5
    scales = []
    for column in np.flatnonzero(mean > np.maximum(_SIGNIFICANCE * error, 1e-6)):
        reach = max(1, (column + 2) // 4)
        if mean[column] == mean[max(0, column - reach) : column + reach + 1].max():
            scales.append(int(column) + 2)
    return tuple(scales)


def choose_settings(
    features: Tensor | np.ndarray,
    k1: int | None = None,
    k2: int | None = None,
    eps: float | None = None,
    min_samples: int | None = None,
) -> DensityChoice:
    """Choose the settings that were left open.

    With ``k1`` given the others follow from it (:func:`settings_for`). Otherwise clusters are made for up to some
    twenty sizes of neighbourhood, each with the settings that belong to it, or with those given; while sizes are
    compared, an open ``min_samples`` is 2, so that it does not speak for any of them.

    Args:
        features: Float (N, D), torch (any device) or numpy; rows are L2-normalised inside.
        k1: Fixed value, None to choose.
        k2: Likewise.
        eps: Likewise.
        min_samples: Likewise.

    Returns:
        The choice; the same for the same features.

    Raises:
        ValueError: If features are not finite.
    """
    if k1 is not None:
        return DensityChoice(settings_for(k1, k2, eps, min_samples))
    features, rank = nearest_tracklets(features, _NEIGHBORS)
    scales = neighborhood_scales(mutual_neighbor_rates(rank)) if len(rank) else ()
    trials = list(_trials(features, rank, scales, k2, eps, min_samples or 2))
    silhouettes = {trial.k1: trial.silhouette for trial in trials}
    chosen = max(_beyond_duplicates(trials, scales), key=lambda trial: trial.silhouette)
    settings = settings_for(chosen.k1, k2, eps, min_samples)
    return DensityChoice(settings, scales, silhouettes, silent=not any(silhouettes.values()))


@dataclass(frozen=True)
class _Trial:
    """Clusters of one size of neighbourhood: their silhouette, and the mean over tracklets of their cluster's size."""

    k1: int
    silhouette: float
    mean_size: float


def _trials(
    features: np.ndarray,
    rank: np.ndarray,
    scales: tuple[int, ...],
    k2: int | None,
    eps: float | None,
    min_samples: int,
) -> Iterator[_Trial]:
    """Trials of growing size, at least one, until they have become hopeless."""
    largest = max(len(rank) // 3, 2)
    sizes = sorted({size for size in (*_CANDIDATES, *scales) if size <= largest})
    best, hopeless = 0.0, 0
    for k1 in sizes:
        trial = _trial(features, rank, settings_for(k1, k2, eps, min_samples))
        yield trial
        best = max(best, trial.silhouette)
        hopeless = hopeless + 1 if trial.silhouette < _HOPELESS_SHARE * best else 0
        if hopeless == 2:
            return


def _trial(features: np.ndarray, rank: np.ndarray, settings: ClusteringSettings) -> _Trial:
    """Cluster with some settings and judge the result."""
    distance = jaccard_of_neighbors(features, rank, settings.k1, settings.k2, settings.eps)
    labels = dbscan(distance, settings.eps, settings.min_samples)
    member = labels >= 0
    sizes = np.bincount(labels[member]).astype(np.float64)
    mean_size = ((sizes**2).sum() + (~member).sum()) / max(len(labels), 1)
    value = silhouette(features, labels) if len(sizes) > 1 else 0.0
    return _Trial(settings.k1, value * float(member.mean()) if len(sizes) > 1 else 0.0, float(mean_size))


def _beyond_duplicates(trials: list[_Trial], scales: tuple[int, ...]) -> list[_Trial]:
    """The trials from the largest believable scale on; all of them without one."""
    best = max(trial.silhouette for trial in trials)
    believable = [
        trial.k1
        for trial in trials
        if trial.k1 in scales
        and trial.silhouette >= _SILHOUETTE_SHARE * best
        and trial.mean_size >= _FILLED_SHARE * trial.k1
    ]
    smallest = _SCALE_TOLERANCE * max(believable, default=0)
    return [trial for trial in trials if trial.k1 >= smallest]


def _kink_weights(num_columns: int) -> np.ndarray:
    """float64 (num_columns, M): rates to excess over the mean of smaller and larger sizes, linear in log size.

    Column c is of c + 1 others; M leaves out those whose larger size is not among the columns, and so does not see
    the end of the rates as a kink. Sizes below the smallest count as the smallest.
    """
    others = np.arange(1, num_columns + 1)
    kept = others[others * _KINK_RATIO <= num_columns]
    weights = np.zeros((num_columns, len(kept)))
    for column, size in enumerate(kept):
        weights[column, column] += 1
        for other in (size / _KINK_RATIO, size * _KINK_RATIO):
            position = np.interp(np.log(other), np.log(others), np.arange(num_columns))
            below = min(int(position), num_columns - 2)
            weights[below, column] -= 0.5 * (below + 1 - position)
            weights[below + 1, column] -= 0.5 * (position - below)
    return weights
