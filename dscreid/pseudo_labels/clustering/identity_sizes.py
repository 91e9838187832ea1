"""Signs of the size of identities: kinks in the share of mutual neighbors, and clusters that are parts of others."""

import math

import numpy as np
from scipy.sparse import csr_array

from dscreid.neighbors.jaccard import nearest_tracklets
from dscreid.pseudo_labels.clustering.dbscan import cluster_neighbors
from dscreid.pseudo_labels.clustering.settings import settings_for
from dscreid.pseudo_labels.clustering.silhouette import MOST_JUDGED, mean_cluster_size, silhouette_of_all
from dscreid.structures import outliers_alone

#: A kink is a rate above the mean of the rates at neighborhoods smaller and larger by this factor.
_KINK_RATIO = 1.8
#: Number of standard errors by which a kink must stand out.
_SIGNIFICANCE = 3.0
#: Numbers of clusters that a larger cluster may consist of.
_PARTS = (2, 3, 4, 5, 6, 8, 12, 16)
#: Silhouette of the means relative to points without structure: up to 2 for whole clusters, nearly 3 or more for parts.
_STRUCTURE = 2.4
#: Merged clusters are also incomplete; the complete cluster is larger by this factor.
_COMPLETION = 1.2
#: Total number of points without structure. With only a few hundred, silhouettes vary by 10 percent between draws.
_DRAWN, _MOST_DRAWS = 1000, 8
#: With fewer means, the test is not meaningful.
_FEWEST = 12


def mutual_neighbor_rates(rank: np.ndarray) -> np.ndarray:
    """Compute which share of a tracklet's nearest tracklets, int (N, K), itself first, have it among their own nearest.

    Returns float64 (N, K - 1) in [0, 1]. Column c refers to neighborhoods of c + 2, including the tracklet itself.
    """
    num, width = rank.shape
    indptr = np.arange(num + 1) * width
    places = csr_array((np.tile(np.arange(1, width + 1), num), rank.ravel(), indptr), shape=(num, num))
    # Two tracklets are mutual neighbors once the neighborhood includes the later of their two places.
    mutual = places.multiply(places.T > 0).maximum(places.T.multiply(places > 0)).tocoo()
    others = mutual.row != mutual.col
    level = mutual.row[others] * width + mutual.data[others] - 1
    counts = np.bincount(level, minlength=num * width).reshape(num, width)
    return counts.cumsum(axis=1)[:, 1:] / np.arange(1, width)


def neighborhood_scales(rates: np.ndarray) -> tuple[int, ...]:
    """Find neighborhood sizes, ascending, at which the :func:`mutual_neighbor_rates` have a significant kink.

    These are local maxima, three standard errors above 0, of the mean rate minus the mean of the rates at sizes 1.8
    times smaller and larger.
    """
    if min(rates.shape) < 2:
        return ()
    excess = rates @ _kink_weights(rates.shape[1])
    mean, error = excess.mean(axis=0), excess.std(axis=0, ddof=1) / len(excess) ** 0.5
    scales = []
    for column in np.flatnonzero(mean > np.maximum(_SIGNIFICANCE * error, 1e-6)):
        reach = max(1, (column + 2) // 4)
        if mean[column] == mean[max(0, column - reach) : column + reach + 1].max():
            scales.append(int(column) + 2)
    return tuple(scales)


def _kink_weights(num_columns: int) -> np.ndarray:
    """float64 (num_columns, M), weights from rates to excess, linear in log size; M of the sizes have a larger one."""
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


def size_of_whole(features: np.ndarray, labels: np.ndarray) -> float | None:
    """Estimate the size in tracklets of the larger clusters that the given clusters are parts of; None if they are not.

    The means of the clusters, with each outlier as its own cluster, are clustered again. Their best silhouette is
    compared with the mean over a few draws from a Gaussian with the same mean and covariance (after the gap statistic
    of Tibshirani et al., J. R. Stat. Soc. B 2001). Features are float32 (N, D), L2-normalized; labels int64 (N,).
    """
    parts = outliers_alone(labels)
    if parts.max(initial=-1) + 1 < _FEWEST:
        return None
    means = np.zeros((parts.max() + 1, features.shape[1]), np.float32)
    np.add.at(means, parts, features)
    means = nearest_tracklets(means, 1)[0]
    merged, structure = _best_clusters(means)
    draws = min(_MOST_DRAWS, math.ceil(_DRAWN / len(means)))
    chance = np.mean([_best_clusters(gaussian_like(means, seed))[1] for seed in range(draws)])
    size = mean_cluster_size(outliers_alone(merged)[parts])
    if structure <= _STRUCTURE * chance or size <= mean_cluster_size(labels):
        return None
    return _COMPLETION * size


def gaussian_like(points: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw float32 (N, D) points from a Gaussian with the mean and covariance of the given points."""
    mean = points.mean(axis=0)
    # The triangular factor has the same covariance as the centered points.
    triangle = np.linalg.qr(points - mean, mode='r')
    weights = np.random.default_rng(seed).standard_normal((len(points), len(triangle)), np.float32)
    return mean + weights @ triangle / np.float32(len(points)) ** 0.5


def _best_clusters(points: np.ndarray) -> tuple[np.ndarray, float]:
    """int64 (N,) labels with the largest silhouette among a few sizes, and that silhouette."""
    points, rank = nearest_tracklets(points, max(_PARTS))
    best, value = np.full(len(points), -1), 0.0
    for size in _PARTS:
        labels = cluster_neighbors(points, rank, settings_for(size, min_samples=2))
        here = silhouette_of_all(points, labels, MOST_JUDGED)
        if here > value:
            best, value = labels, here
    return best, value
