"""Test whether clusters are only parts of larger clusters, such as the tracklets of a person from one camera."""

import math

import numpy as np

from dscreid.neighbors.jaccard import nearest_tracklets
from dscreid.pseudo_labels.clustering.dbscan import cluster_neighbors
from dscreid.pseudo_labels.clustering.settings import settings_for
from dscreid.pseudo_labels.clustering.silhouette import MOST_JUDGED, mean_cluster_size, silhouette_of_all
from dscreid.structures import outliers_alone

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


def size_of_whole(features: np.ndarray, labels: np.ndarray) -> float | None:
    """Estimate the size of the larger clusters that the given clusters are parts of.

    The means of the clusters, with each outlier as its own cluster, are clustered again. Their best silhouette is
    compared with the mean over a few draws from a Gaussian with the same mean and covariance (after the gap statistic
    of Tibshirani et al., J. R. Stat. Soc. B 2001).

    Args:
        features: float32 (N, D), L2-normalized.
        labels: int64 (N,), clusters numbered from 0 without gaps, -1 = outlier.

    Returns:
        A size in tracklets, larger than that of the given clusters; None if they are not parts.
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
