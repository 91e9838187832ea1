"""Whether clusters are whole, or only parts of larger clusters, such as one camera's tracklets of a person."""

import math

import numpy as np

from dscreid.neighbors.jaccard import nearest_tracklets
from dscreid.pseudo_labels.clustering_settings import cluster_neighbors, settings_for
from dscreid.pseudo_labels.labels import outliers_alone
from dscreid.pseudo_labels.silhouette import MOST_JUDGED, mean_cluster_size, silhouette_of_all

#: Clusters that a larger one may consist of.
_PARTS = (2, 3, 4, 5, 6, 8, 12, 16)
#: Means of whole clusters are clustered up to twice as well as points without structure, since a few clusters are
#: always split; means of parts nearly three times and better.
_STRUCTURE = 2.4
#: Merged clusters are incomplete too: a whole is this many times larger.
_COMPLETION = 1.2
#: Points without structure that are drawn in all: the silhouette of a few hundred differs by a tenth between draws.
_DRAWN, _MOST_DRAWS = 1000, 8
#: Fewer means than that say nothing.
_FEWEST = 12


def size_of_whole(features: np.ndarray, labels: np.ndarray) -> float | None:
    """Tracklets of the larger clusters that clusters are parts of.

    The means of the clusters, outliers for themselves, are clustered in turn. Their best silhouette is compared with
    that of as many points without structure, the mean over a few draws: a Gaussian of the same mean and covariance
    (after the gap statistic of Tibshirani et al., J. R. Stat. Soc. B 2001).

    Args:
        features: float32 (N, D), L2-normalized.
        labels: int64 (N,), clusters numbered from 0 without gaps, -1 = outlier.

    Returns:
        A size in tracklets, larger than the clusters'; None where they are whole, as far as this can tell.
    """
    parts = outliers_alone(labels)
    if parts.max(initial=-1) + 1 < _FEWEST:
        return None
    means = np.zeros((parts.max() + 1, features.shape[1]), np.float32)
    np.add.at(means, parts, features)
    means = nearest_tracklets(means, 1)[0]
    merged, structure = _best_clusters(means)
    chance = np.mean([_best_clusters(gaussian_like(means, seed))[1] for seed in range(_draws(len(means)))])
    size = mean_cluster_size(outliers_alone(merged)[parts])
    if structure <= _STRUCTURE * chance or size <= mean_cluster_size(labels):
        return None
    return _COMPLETION * size


def _draws(num: int) -> int:
    """How often as many points without structure are drawn: more often where they are few."""
    return min(_MOST_DRAWS, math.ceil(_DRAWN / num))


def gaussian_like(points: np.ndarray, seed: int = 0) -> np.ndarray:
    """Points of a Gaussian with the mean and covariance of others.

    Args:
        points: float32 (N, D).
        seed: Of the draw.

    Returns:
        float32 (N, D), the same for the same seed.
    """
    mean = points.mean(axis=0)
    # the triangle has the inner products of the centerd points' columns, and with them their covariance
    triangle = np.linalg.qr(points - mean, mode='r')
    weights = np.random.default_rng(seed).standard_normal((len(points), len(triangle)), np.float32)
    return mean + weights @ triangle / np.float32(len(points)) ** 0.5


def _best_clusters(points: np.ndarray) -> tuple[np.ndarray, float]:
    """int64 (N,) labels of largest silhouette among a few sizes, and that silhouette."""
    points, rank = nearest_tracklets(points, max(_PARTS))
    best, value = np.full(len(points), -1), 0.0
    for size in _PARTS:
        labels = cluster_neighbors(points, rank, settings_for(size, min_samples=2))
        here = silhouette_of_all(points, labels, MOST_JUDGED)
        if here > value:
            best, value = labels, here
    return best, value
