"""Sparse re-ranking against dense k-reciprocal re-ranking, and query expansion against a loop over queries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.reranking_oracle import dense_reranked_distance, expanded

from dscreid.errors import ConfigError
from dscreid.evaluation import InnerProduct, QueryExpansion, Reranked, Reranking, expand_queries, rank_queries
from dscreid.utils import chunks


def _features(num, centers=6, d=8, noise=0.5, seed=0):
    generator = np.random.default_rng(seed)
    middle = np.random.default_rng(99).normal(size=(centers, d))
    return middle[generator.integers(centers, size=num)] + noise * generator.normal(size=(num, d))


def _distance(query, gallery, parameters, rows=slice(None)):
    return -Reranked(query, gallery, parameters)[rows].numpy()


@settings(max_examples=25, deadline=None)
@given(
    num_queries=st.integers(1, 15),
    num_gallery=st.integers(1, 30),
    centers=st.integers(1, 8),
    k1=st.integers(1, 25),
    k2=st.integers(1, 8),
    lambda_value=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_equals_dense_oracle(num_queries, num_gallery, centers, k1, k2, lambda_value, seed):
    query = _features(num_queries, centers, seed=seed)
    gallery = _features(num_gallery, centers, seed=seed + 1)
    parameters = Reranking(k1, min(k1, k2), lambda_value)
    expected = dense_reranked_distance(query, gallery, k1, min(k1, k2), lambda_value)
    np.testing.assert_allclose(_distance(query, gallery, parameters), expected, atol=2e-6)


def test_a_block_is_a_part_of_the_whole():
    query, gallery = _features(20, seed=1), _features(30, seed=2)
    reranked = Reranked(query, gallery, Reranking(10, 3, 0.4))
    assert reranked.shape == (20, 30)
    whole = reranked[:]
    np.testing.assert_allclose(reranked[7:12], whole[7:12], atol=1e-12)
    np.testing.assert_allclose(reranked[7:12], whole[7:12], atol=1e-12)  # a block was not used up


def test_jaccard_stays_sparse():
    query, gallery = _features(60, 12, noise=0.1, seed=1), _features(90, 12, noise=0.1, seed=2)
    reranked = Reranked(query, gallery, Reranking(10, 3, 0.3))
    dense = dense_reranked_distance(query, gallery, 10, 3, 0.0)
    assert reranked._jaccard.shape == (60, 90)
    assert reranked._jaccard.nnz == (dense < 1 - 1e-6).sum() < dense.size / 4


def test_original_distance_alone_ranks_as_cosine():
    query, gallery = _features(20, seed=1), _features(30, seed=2)
    sides = np.arange(20) % 5, np.arange(20) % 2, np.arange(30) % 5, np.arange(30) % 2
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (query, gallery)]
    plain = rank_queries(InnerProduct(*unit), *sides, drop_same_camera=True)
    # also where norms differ
    reranked = Reranked(3 * query, gallery, Reranking(10, 3, lambda_value=1))
    for expected, found in zip(plain, rank_queries(reranked, *sides, drop_same_camera=True), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_helps_where_neighbors_agree():
    """A chain of tracklets of one person: each is near the next, the ends are far apart."""
    angles = np.concatenate([np.linspace(0, 1.2, 13), [-0.9, -0.95, -1.0]])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    query, gallery = points[:1], points[1:]
    pids, cameras = np.array([1] * 12 + [2] * 3), np.zeros(15)
    sides = [1], [0], pids, cameras
    plain = rank_queries(InnerProduct(query, gallery), *sides)
    reranked = rank_queries(Reranked(query, gallery, Reranking(10, 3, 0.1)), *sides)
    assert plain.average_precision[0] < reranked.average_precision[0] == 1


def test_all_tracklets_alike():
    same = np.ones((4, 3), np.float32)
    assert (_distance(same, same, Reranking()) <= 1e-3).all()


def test_input_is_untouched_and_may_be_a_tensor():
    query, gallery = torch.from_numpy(_features(8)), torch.from_numpy(_features(9, seed=3))
    before = query.clone(), gallery.clone()
    blocks = Reranked(query, gallery, Reranking(5, 2))[:]
    assert blocks.dtype == torch.float64
    assert torch.equal(query, before[0])
    assert torch.equal(gallery, before[1])


@pytest.mark.parametrize(
    'wrong', [dict(k1=0), dict(k2=0), dict(k1=2.5), dict(lambda_value=1.1), dict(lambda_value=float('nan'))]
)
def test_reranking_refuses_parameters_out_of_range(wrong):
    with pytest.raises(ConfigError, match=r'k1 and k2 must be integers from 1 and lambda_value lie in'):
        Reranking(**wrong)


def test_refuses_broken_features():
    query = _features(5)
    with pytest.raises(ValueError, match='2 of 5 rows of gallery_features hold NaN'):
        Reranked(query, np.where(np.arange(5)[:, None] < 2, np.nan, query), Reranking())


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_equal_on_the_gpu():
    query, gallery = (torch.from_numpy(_features(20, seed=seed)).float() for seed in (1, 2))
    on_gpu = Reranked(query.cuda(), gallery.cuda(), Reranking(8, 3))[:]
    assert on_gpu.is_cuda
    np.testing.assert_allclose(on_gpu.cpu(), Reranked(query, gallery, Reranking(8, 3))[:], atol=1e-5)


# ---- query expansion ----
def _normal_features(seed=0, num_queries=9, num_gallery=20, d=5):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(num_queries, d)), generator.normal(size=(num_gallery, d))


@pytest.mark.parametrize('alpha', [0.0, 0.5, 3.0])
@pytest.mark.parametrize('topk', [1, 4, 20, 50])
def test_expansion_equals_oracle(monkeypatch, topk, alpha):
    query, gallery = _normal_features(seed=topk)
    before = query.copy(), gallery.copy()
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 47)
    found = expand_queries(query, gallery, QueryExpansion(topk, alpha))
    np.testing.assert_allclose(found, expanded(query, gallery, topk, alpha), atol=1e-12)
    np.testing.assert_array_equal(query, before[0])
    np.testing.assert_array_equal(gallery, before[1])


def test_opposite_neighbors_weigh_nothing_with_alpha():
    query, gallery = np.array([[1.0, 0]]), np.array([[-1.0, 0], [-1, 1]])
    np.testing.assert_allclose(expand_queries(query, gallery, QueryExpansion(2, alpha=1)), query)
    assert not np.allclose(expand_queries(query, gallery, QueryExpansion(2)), query)


def test_zero_rows_give_no_nan():
    found = expand_queries(np.zeros((1, 2)), np.eye(2), QueryExpansion(2, alpha=1))
    assert torch.isfinite(found).all()


@pytest.mark.parametrize('wrong', [dict(topk=0), dict(topk=1.5), dict(alpha=-1), dict(alpha=float('nan'))])
def test_expansion_refuses_parameters_out_of_range(wrong):
    with pytest.raises(ConfigError, match='topk must be an integer from 1 and alpha at least 0'):
        QueryExpansion(**wrong)
