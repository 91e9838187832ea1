"""Counting against sorting, by either implementation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dscreid.evaluation import counting
from dscreid.utils import chunks, compiled


@pytest.mark.parametrize('count', [counting.count_ahead, counting._count_with_torch])
@settings(max_examples=40, deadline=None)
@given(
    num_queries=st.integers(1, 6),
    num_gallery=st.integers(1, 40),
    num_pairs=st.integers(0, 30),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 10**6),
)
def test_equals_the_place_in_a_stable_sort(count, num_queries, num_gallery, num_pairs, dtype, seed):
    generator = np.random.default_rng(seed)
    scores = torch.from_numpy(generator.integers(-3, 3, size=(num_queries, num_gallery))).to(dtype)
    scores[scores == -3] = -torch.inf
    row = torch.from_numpy(generator.integers(num_queries, size=num_pairs))
    column = torch.from_numpy(generator.integers(num_gallery, size=num_pairs))
    order = scores.sort(dim=1, descending=True, stable=True).indices
    place = order.argsort(dim=1)
    found = count(scores, row, column)
    assert found.dtype == torch.int64
    assert torch.equal(found, place[row, column])


@pytest.mark.parametrize('count', [counting.count_ahead, counting._count_with_torch])
def test_blocks_do_not_show(monkeypatch, count):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(10, 50, generator=generator)
    row, column = torch.arange(10).repeat_interleave(5), torch.arange(50)
    whole = count(scores, row, column)
    monkeypatch.setattr(compiled, 'ROWS_PER_TASK', 7)
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 150)
    assert torch.equal(count(scores, row, column), whole)


def test_scores_that_are_no_contiguous_block():
    scores = torch.randn(50, 10, generator=torch.Generator().manual_seed(0)).T
    row, column = torch.arange(10), torch.arange(10)
    expected = (scores > scores[row, column, None]).sum(dim=1)
    assert torch.equal(counting.count_ahead(scores, row, column), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_equal_on_the_gpu():
    scores = torch.randn(10, 500, generator=torch.Generator().manual_seed(0))
    row, column = torch.arange(10).repeat_interleave(50), torch.arange(500)
    found = counting.count_ahead(scores.cuda(), row.cuda(), column.cuda())
    assert found.is_cuda
    assert torch.equal(found.cpu(), counting.count_ahead(scores, row, column))
