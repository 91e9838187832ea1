"""DBSCAN on k-reciprocal Jaccard distances or on any precomputed distance."""

import warnings
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.cluster import DBSCAN
from sklearn.exceptions import EfficiencyWarning
from torch import Tensor

from dscreid.neighbors.jaccard import jaccard_of_neighbors, nearest_tracklets
from dscreid.neighbors.knn import clipped
from dscreid.pseudo_labels.clustering.settings import ClusteringSettings


def cluster(descriptors: Tensor, settings: ClusteringSettings, groups: np.ndarray | None = None) -> np.ndarray:
    """Cluster float (N, D), normalized internally; int64 (N,) from 0 without gaps, -1 = outlier.

    ``groups``, int64 (N,), balances the query expansion; see ``jaccard_of_neighbors``.
    """
    num_neighbors = clipped(settings.k1, len(descriptors), 'k1')
    return cluster_neighbors(*nearest_tracklets(descriptors, num_neighbors), settings, groups)


def cluster_neighbors(
    features: np.ndarray, rank: np.ndarray, settings: ClusteringSettings, groups: np.ndarray | None = None
) -> np.ndarray:
    """Cluster as :func:`cluster` from known neighbors, which are those of ``jaccard_of_neighbors``."""
    distance = jaccard_of_neighbors(features, rank, settings.k1, settings.k2, settings.eps, groups=groups)
    return dbscan(distance, settings.eps, settings.min_samples)


def dbscan(distance: Any, eps: float = 0.6, min_samples: int = 4) -> np.ndarray:
    """Density-based clustering (DBSCAN, Ester et al., 1996), using scikit-learn.

    Args:
        distance: Non-negative symmetric (N, N). In a scipy sparse one, a pair that is not stored counts as farther than
            ``eps``, an explicit zero as distance 0, and a missing diagonal is added.
        eps: Maximum distance between two neighbors.
        min_samples: Number of neighbors, including the tracklet itself, that make it a core point.

    Returns int64 (N,), clusters numbered from 0 in order of their first core point, -1 = outlier.

    Example:
        >>> dbscan(np.array([[0.0, 0.1, 9.0], [0.1, 0.0, 9.0], [9.0, 9.0, 0.0]]), eps=0.5, min_samples=2)
        array([ 0,  0, -1])
    """
    if scipy.sparse.issparse(distance):
        distance = distance.astype(np.float64)  # eps is compared in double precision
    if distance.shape[0] == 0:
        return np.empty(0, dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', EfficiencyWarning)  # scikit-learn sorts the pairs of each row by distance
        model = DBSCAN(eps=eps, min_samples=min_samples, metric='precomputed').fit(distance)
    return model.labels_.astype(np.int64)
