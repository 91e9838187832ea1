"""DBSCAN on k-reciprocal Jaccard distances or on any precomputed distance."""

from typing import Any

import numpy as np
import scipy.sparse
from sklearn.cluster import DBSCAN
from sklearn.neighbors import sort_graph_by_row_values
from torch import Tensor

from dscreid.neighbors.jaccard import jaccard_of_neighbors, nearest_tracklets
from dscreid.neighbors.knn import clipped
from dscreid.pseudo_labels.clustering.settings import ClusteringSettings


def cluster(descriptors: Tensor, settings: ClusteringSettings) -> np.ndarray:
    """Cluster float (N, D), normalized internally; int64 (N,) from 0 without gaps, -1 = outlier."""
    num_neighbors = clipped(settings.k1, len(descriptors), 'k1')
    return cluster_neighbors(*nearest_tracklets(descriptors, num_neighbors), settings)


def cluster_neighbors(features: np.ndarray, rank: np.ndarray, settings: ClusteringSettings) -> np.ndarray:
    """Cluster as :func:`cluster` from known neighbors, which are those of ``jaccard_of_neighbors``."""
    distance = jaccard_of_neighbors(features, rank, settings.k1, settings.k2, settings.eps)
    return dbscan(distance, settings.eps, settings.min_samples)


def dbscan(distance: Any, eps: float = 0.6, min_samples: int = 4) -> np.ndarray:
    """Density-based clustering (DBSCAN, Ester et al., 1996), using scikit-learn.

    Args:
        distance: Non-negative symmetric (N, N). In a scipy sparse one, a pair that is not stored counts as farther than
            ``eps``, an explicit zero as distance 0, and a missing diagonal is added. A dense array or tensor is used as
            given.
        eps: Maximum distance between two neighbors.
        min_samples: Number of neighbors, including the tracklet itself, that make it a core point.

    Returns:
        int64 (N,), clusters numbered from 0 in order of their first core point, -1 = outlier.

    Raises:
        ValueError: If the matrix is not square or a parameter is out of range.

    Example:
        >>> dbscan(np.array([[0.0, 0.1, 9.0], [0.1, 0.0, 9.0], [9.0, 9.0, 0.0]]), eps=0.5, min_samples=2)
        array([ 0,  0, -1])
    """
    if eps <= 0 or min_samples < 1:
        raise ValueError(f'eps must be > 0 and min_samples >= 1, got eps={eps}, min_samples={min_samples}')
    sparse = scipy.sparse.issparse(distance)
    if not sparse:
        distance = np.asarray(distance)
    if distance.ndim != 2 or distance.shape[0] != distance.shape[1]:
        raise ValueError(f'the distance must be a square matrix, got shape {tuple(distance.shape)}')
    if distance.shape[0] == 0:
        return np.empty(0, dtype=np.int64)
    graph = _neighbor_graph(distance, eps) if sparse else distance
    return DBSCAN(eps=eps, min_samples=min_samples, metric='precomputed').fit_predict(graph).astype(np.int64)


def _neighbor_graph(distance: Any, eps: float) -> scipy.sparse.csr_matrix:
    """Copy with an explicit diagonal, without pairs beyond ``eps``, and with rows sorted by distance."""
    pairs = scipy.sparse.coo_array(distance)
    if pairs.nnz and pairs.data.min() < 0:
        raise ValueError(f'distances must not be negative, the smallest is {pairs.data.min():.3g}')
    kept = (pairs.data <= eps) & (pairs.row != pairs.col)
    diagonal = np.arange(pairs.shape[0])
    row = np.concatenate([diagonal, pairs.row[kept]])
    column = np.concatenate([diagonal, pairs.col[kept]])
    data = np.concatenate([np.zeros(len(diagonal)), pairs.data[kept]])
    graph = scipy.sparse.csr_matrix((data, (row, column)), shape=pairs.shape)
    return sort_graph_by_row_values(graph, copy=False, warn_when_not_sorted=False)
