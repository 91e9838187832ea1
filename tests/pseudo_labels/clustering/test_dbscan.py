"""DBSCAN on sparse and dense distances."""

import warnings

import numpy as np
import pytest
import scipy.sparse
import torch
from references.clustering import dense_clusters

from dscreid.pseudo_labels import dbscan, jaccard_distance


def _points_on_a_line(*positions):
    x = np.array(positions, dtype=np.float64)
    return np.abs(x[:, None] - x[None])


def _sparse(distance, limit, kind=scipy.sparse.csr_array):
    rows, columns = np.nonzero((distance <= limit) & ~np.eye(len(distance), dtype=bool))
    return kind((distance[rows, columns], (rows, columns)), shape=distance.shape)


def _same_partition(a, b):
    return np.array_equal(a[:, None] == a, b[:, None] == b) and np.array_equal(a < 0, b < 0)


def test_clusters_and_outlier():
    distance = _points_on_a_line(0, 0.1, 0.2, 5, 5.1, 5.2, 9)
    labels = dbscan(distance, eps=0.15, min_samples=2)
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, -1]


def test_the_point_itself_counts():
    distance = _points_on_a_line(0, 0.1, 5)
    assert dbscan(distance, 0.15, min_samples=2).tolist() == [0, 0, -1]
    assert dbscan(distance, 0.15, min_samples=3).tolist() == [-1, -1, -1]
    assert dbscan(distance, 0.15, min_samples=1).tolist() == [0, 0, 1]


@pytest.mark.parametrize('kind', [scipy.sparse.csr_array, scipy.sparse.csr_matrix, scipy.sparse.coo_array])
def test_sparse_equals_dense(kind):
    points = np.random.default_rng(0).normal(size=(150, 2))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    for eps in (0.1, 0.3):
        with warnings.catch_warnings():
            warnings.simplefilter('error')  # scikit-learn warns of unsorted graphs
            sparse = dbscan(_sparse(distance, 1.0, kind), eps)
        np.testing.assert_array_equal(sparse, dbscan(distance, eps))
        np.testing.assert_array_equal(sparse, dbscan(torch.from_numpy(distance), eps))


def test_explicit_zeros_are_distances():
    """Duplicates lie at distance 0, which a sparse matrix may hold as an explicit zero."""
    rows, columns = np.nonzero(~np.eye(4, dtype=bool))
    graph = scipy.sparse.csr_array((np.zeros(12, np.float32), (rows, columns)), shape=(5, 5))
    assert dbscan(graph, 0.5, 4).tolist() == [0, 0, 0, 0, -1]


def test_nothing_stored_means_outliers():
    assert dbscan(scipy.sparse.csr_array((3, 3)), 0.5, 2).tolist() == [-1, -1, -1]
    assert dbscan(scipy.sparse.csr_array((0, 0))).tolist() == []
    assert dbscan(np.zeros((0, 0))).tolist() == []
    assert dbscan(scipy.sparse.csr_array((1, 1)), 0.5, 1).tolist() == [0]


def test_after_jaccard_it_finds_planted_groups():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(12), 10)
    features = rng.normal(size=(12, 32))[truth] + 0.2 * rng.normal(size=(120, 32))
    graph = jaccard_distance(features, k1=12, k2=4, max_distance=0.6)
    before = graph.copy()
    assert _same_partition(dbscan(graph, 0.6, 4), truth)
    np.testing.assert_array_equal(graph.data, before.data)
    np.testing.assert_array_equal(graph.indices, before.indices)


def test_a_wider_cut_changes_nothing():
    features = np.random.default_rng(1).normal(size=(200, 6))
    tight = dbscan(jaccard_distance(features, 10, 3, max_distance=0.6), 0.6)
    wide = dbscan(jaccard_distance(features, 10, 3, max_distance=0.95), 0.6)
    assert _same_partition(tight, wide)


def test_refuses_bad_input():
    with pytest.raises(ValueError, match='square'):
        dbscan(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="'eps' parameter"):
        dbscan(np.zeros((2, 2)), eps=0)
    with pytest.raises(ValueError, match='min_samples'):
        dbscan(np.zeros((2, 2)), min_samples=0)
    with pytest.raises(ValueError, match='Negative values'):
        dbscan(scipy.sparse.csr_array(np.array([[0, -1.0], [-1.0, 0]])))


def test_sparse_clustering_is_the_dense_one():
    generator = torch.Generator().manual_seed(3)
    centres = torch.randn(20, 12, generator=generator)
    features = centres.repeat(10, 1) + 0.6 * torch.randn(200, 12, generator=generator)
    for k1, k2, eps in ((8, 3, 0.55), (12, 1, 0.6), (20, 6, 0.5)):
        sparse = dbscan(jaccard_distance(features, k1, k2, eps), eps, 3)
        np.testing.assert_array_equal(sparse, dense_clusters(features, k1, k2, eps, 3))
        assert 2 < sparse.max() < 40
