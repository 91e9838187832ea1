"""Query expansion against a loop over queries."""

import numpy as np
import pytest
import torch
from oracles.reranking_oracle import expanded

from dscreid.errors import ConfigError
from dscreid.evaluation import QueryExpansion, expand_queries
from dscreid.utils import chunks


def _features(seed=0, num_queries=9, num_gallery=20, d=5):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(num_queries, d)), generator.normal(size=(num_gallery, d))


@pytest.mark.parametrize('alpha', [0.0, 0.5, 3.0])
@pytest.mark.parametrize('topk', [1, 4, 20, 50])
def test_equals_oracle(monkeypatch, topk, alpha):
    query, gallery = _features(seed=topk)
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
def test_refuses_parameters_out_of_range(wrong):
    with pytest.raises(ConfigError, match='topk must be an integer from 1 and alpha at least 0'):
        QueryExpansion(**wrong)
