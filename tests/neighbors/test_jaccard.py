"""The sparse Jaccard distance against a dense reading of its definition."""

import warnings

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.jaccard_oracle import dense_jaccard

from dscreid.neighbors import jaccard
from dscreid.neighbors.jaccard import _expand_queries, jaccard_distance
from dscreid.pseudo_labels.clustering.dbscan import cluster
from dscreid.pseudo_labels.clustering.settings import ClusteringSettings
from dscreid.utils import compiled


def _features(n, d=8, centres=0, noise=0.4, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, d))
    if centres:
        points = rng.normal(size=(centres, d))[rng.integers(centres, size=n)] + noise * points
    return points.astype(np.float32)


def _dense(graph, missing=1.0):
    """Stored distances in a full matrix, pairs that are not stored at ``missing``."""
    full = np.full(graph.shape, missing)
    pairs = graph.tocoo()
    full[pairs.row, pairs.col] = pairs.data
    return full


def _order_is_clear(features):
    """Whether no two neighbors of a row are so close that rounding, which differs by processor, decides their order."""
    unit = features.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return np.diff(np.sort(unit @ unit.T, axis=1), axis=1).min() > 1e-6


def _check_against_oracle(features, k1, k2, max_distance):
    graph = jaccard_distance(features, k1, k2, max_distance)
    expected = dense_jaccard(features, k1, k2)
    np.fill_diagonal(expected, 0)
    # pairs within rounding of the limit may fall on either side
    clear = np.abs(expected - max_distance) > 1e-5
    stored = _dense(graph, missing=2.0)
    np.testing.assert_array_equal((stored <= 1)[clear], (expected <= max_distance)[clear])
    both = stored <= 1
    np.testing.assert_allclose(stored[both], expected[both], atol=2e-6)


@pytest.mark.parametrize('centres', [0, 5])
@pytest.mark.parametrize(('k1', 'k2'), [(30, 6), (20, 6), (9, 1), (25, 3), (2, 2), (1, 1), (4, 50)])
def test_equals_dense_oracle(centres, k1, k2):
    features = _features(90, centres=centres, seed=k1)
    for max_distance in (0.3, 0.6, 0.99, 1.0):
        _check_against_oracle(features, k1, k2, max_distance)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 60),
    d=st.integers(4, 12),
    centres=st.integers(0, 6),
    k1=st.integers(1, 35),
    k2=st.integers(1, 8),
    max_distance=st.floats(0.05, 1.0),
    seed=st.integers(0, 10**6),
)
def test_equals_dense_oracle_for_any_size(n, d, centres, k1, k2, max_distance, seed):
    features = _features(n, d, centres, seed=seed)
    assume(_order_is_clear(features))
    _check_against_oracle(features, k1, k2, max_distance)


def test_blocks_do_not_show(monkeypatch):
    features = _features(100, centres=7)
    whole = jaccard_distance(features, 12, 4)
    monkeypatch.setattr(compiled, 'ROWS_PER_TASK', 7)
    pieces = jaccard_distance(features, 12, 4)
    for name in ('indptr', 'indices', 'data'):
        np.testing.assert_array_equal(getattr(whole, name), getattr(pieces, name))


@pytest.mark.parametrize('num_rows', [0, 1, 40, 100])
def test_first_rows_are_those_of_the_whole(num_rows):
    features = _features(100, centres=7)
    features, rank = jaccard.nearest_tracklets(features, 12)
    whole = jaccard.jaccard_of_neighbors(features, rank, 12, 4, 0.8)
    part = jaccard.jaccard_of_neighbors(features, rank, 12, 4, 0.8, num_rows)
    assert part.shape == (num_rows, 100)
    np.testing.assert_array_equal(_dense(part), _dense(whole)[:num_rows])


@pytest.mark.parametrize('max_distance', [0.0, 0.4, 1.0])
def test_structure(max_distance):
    graph = jaccard_distance(_features(80, centres=6), 15, 4, max_distance)
    assert isinstance(graph, scipy.sparse.csr_array)
    assert graph.dtype == np.float32
    assert graph.has_canonical_format
    assert graph.data.min() >= 0
    assert graph.data.max() <= max_distance
    full = _dense(graph)
    np.testing.assert_array_equal(full, full.T)
    np.testing.assert_array_equal(np.diag(full), 0)
    if max_distance == 1:
        assert graph.nnz == 80 * 80


@pytest.mark.parametrize('k2', [1, 3])
def test_each_tracklet_is_its_own_first_neighbour(k2):
    """With more exact copies than k1, a plain search would leave most rows out of their own neighbours."""
    copies = np.repeat(np.eye(4, dtype=np.float32), 20, axis=0)
    _check_against_oracle(copies, 10, k2, 0.6)
    _check_against_oracle(copies, 10, k2, 1.0)


def test_duplicates_are_at_distance_zero_and_stored():
    features = np.repeat(_features(4, 6), 20, axis=0)  # more copies than k1: neighbours are chosen by ties alone
    graph = jaccard_distance(features, k1=10, k2=3, max_distance=0.9)
    full = _dense(graph)
    group = np.repeat(np.arange(4), 20)
    assert (full[group[:, None] != group] == 1).all()
    np.testing.assert_array_equal(np.diag(full), 0)
    pairs = np.repeat(_features(30, 6), 2, axis=0)
    full = _dense(jaccard_distance(pairs, k1=6, k2=1))
    np.testing.assert_allclose(full[np.arange(0, 60, 2), np.arange(1, 60, 2)], 0, atol=1e-6)


@pytest.mark.parametrize('n', [0, 1, 2, 5])
def test_fewer_tracklets_than_neighbours(n):
    graph = jaccard_distance(_features(n), k1=30, k2=6)
    assert graph.shape == (n, n)
    assert (graph.diagonal() == 0).all()
    if n:
        _check_against_oracle(_features(n), 30, 6, 0.6)


def test_more_neighbors_than_tracklets_are_a_warning():
    features = _features(5)
    with pytest.warns(UserWarning, match='k1=30 exceeds the gallery size; using 5'):
        jaccard_distance(features, k1=30, k2=6)
    with pytest.warns(UserWarning, match='k1=30 exceeds the gallery size; using 5'):
        cluster(torch.as_tensor(features), ClusteringSettings(30, 6, 0.6, 4))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        jaccard_distance(features, k1=5, k2=6)


def test_zero_rows_and_scale():
    features = _features(20, centres=3)
    scaled = features * np.linspace(0.5, 8, 20, dtype=np.float32)[:, None]
    np.testing.assert_allclose(
        _dense(jaccard_distance(features, 6, 2)), _dense(jaccard_distance(scaled, 6, 2)), atol=1e-6
    )
    features[3] = 0
    assert (jaccard_distance(features, 6, 2).diagonal() == 0).all()


def test_kinds_of_input():
    features = _features(30, centres=3)
    expected = _dense(jaccard_distance(features, 8, 2))
    for given_ in (
        torch.from_numpy(features),
        features.astype(np.float64),
        torch.from_numpy(features).double(),
    ):
        np.testing.assert_allclose(_dense(jaccard_distance(given_, 8, 2)), expected, atol=1e-6)
    before = features.copy()
    jaccard_distance(features, 8, 2)
    np.testing.assert_array_equal(features, before)


def test_refuses_bad_input():
    features = _features(10)
    with pytest.raises(ValueError, match='k1 and k2'):
        jaccard_distance(features, k1=0)
    with pytest.raises(ValueError, match='max_distance'):
        jaccard_distance(features, max_distance=-1)
    features[4, 2] = np.nan
    with pytest.raises(ValueError, match='1 of 10 rows of features'):
        jaccard_distance(features)


def test_the_query_expansion_may_balance_groups():
    rng = np.random.default_rng(0)
    rank = np.stack([np.r_[i, rng.permutation(np.delete(np.arange(9), i))[:4]] for i in range(9)]).astype(np.int32)
    rows = scipy.sparse.random_array((9, 9), density=0.5, rng=rng, format='csr', dtype=np.float32)
    groups = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])
    found = _expand_queries(rows, rank, groups).toarray()
    for i in range(9):
        parts = [rows.toarray()[[j for j in rank[i] if groups[j] == group]] for group in (0, 1)]
        means = [part.mean(0) for part in parts if len(part)]
        np.testing.assert_allclose(found[i], np.mean(means, axis=0), rtol=1e-5)
    one = _expand_queries(rows, rank, np.zeros(9, int)).toarray()
    np.testing.assert_allclose(one, _expand_queries(rows, rank, None).toarray(), rtol=1e-5)
