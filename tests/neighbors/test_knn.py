"""knn against a sorted full similarity matrix."""

import numpy as np
import pytest
import torch
from oracles.dslu_oracle import cosine, nearest

from dscreid.neighbors.knn import as_feature_matrix
from dscreid.pseudo_labels import knn
from dscreid.utils import chunks


def _points(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(('n', 'm', 'k'), [(7, 20, 5), (1, 1, 1), (30, 4, 4), (5, 60, 59)])
@pytest.mark.parametrize('chunk', [16, 2**24])
def test_equals_sorted_similarity(monkeypatch, n, m, k, chunk):
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', chunk)
    queries, gallery = _points(n, 6, 0) * 3, _points(m, 6, 1)
    similarity, index = knn(queries, gallery, k)
    expected = cosine(queries, gallery)
    assert index.dtype == torch.int64
    np.testing.assert_array_equal(index, [nearest(row, k) for row in expected])
    np.testing.assert_allclose(similarity, np.take_along_axis(expected, index.numpy(), 1), atol=1e-6)


@pytest.mark.parametrize('chunk', [1, 40, 2**24])
def test_ties_go_to_the_smaller_index(monkeypatch, chunk):
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', chunk)
    # whole numbers of equal norm: similarities are exact, so most of the ten entries are tied
    gallery = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, -1], [1, 0], [0, 1], [-1, 0], [0, 1], [1, 0], [1, 0]])
    queries = torch.tensor([[1.0, 0], [0, 2], [-3, 0]])
    for k in range(1, 11):
        index = knn(queries, gallery, k)[1]
        expected = [nearest(row, k) for row in cosine(queries, gallery)]
        np.testing.assert_array_equal(index, expected)


def test_zero_rows_are_orthogonal_to_everything():
    similarity, index = knn(torch.zeros(1, 3), torch.eye(3), 3)
    assert similarity.tolist() == [[0, 0, 0]]
    assert index.tolist() == [[0, 1, 2]]


def test_clips_k_with_a_warning():
    with pytest.warns(UserWarning, match='k=9 exceeds the gallery size; using 4'):
        similarity, index = knn(_points(3, 2, 0), _points(4, 2, 1), 9)
    assert similarity.shape == index.shape == (3, 4)


def test_numpy_input_and_mixed_types():
    a, b = _points(4, 3, 0), _points(5, 3, 1)
    expected = knn(a, b, 2)
    for x, y in ((a.numpy(), b.numpy()), (a.double(), b), (a.numpy(), b.double())):
        similarity, index = knn(x, y, 2)
        assert torch.equal(index, expected[1])
        torch.testing.assert_close(similarity.float(), expected[0])


def test_empty_queries_and_empty_gallery():
    assert knn(torch.zeros(0, 3), torch.eye(3), 2)[1].shape == (0, 2)
    with pytest.warns(UserWarning, match='using 0'):
        assert knn(torch.eye(3), torch.zeros(0, 3), 2)[1].shape == (3, 0)


def test_refuses_bad_input():
    good = torch.eye(3)
    broken = good.clone()
    broken[0, 1], broken[2, 2] = torch.nan, torch.inf
    with pytest.raises(ValueError, match='2 of 3 rows of queries hold NaN or infinite'):
        knn(broken, good, 1)
    with pytest.raises(ValueError, match='rows of gallery'):
        knn(good, broken, 1)
    huge = torch.full((2, 3), 3e38)  # whose sum is infinite
    assert torch.equal(as_feature_matrix(huge, 'rows'), huge)
    with pytest.raises(ValueError, match='3 dimensions but the gallery has 2'):
        knn(good, good[:, :2], 1)
    with pytest.raises(ValueError, match='at least 1'):
        knn(good, good, 0)
    with pytest.raises(ValueError, match='matrix'):
        knn(good[0], good, 1)
    with pytest.raises(TypeError, match='queries must be'):
        knn([[1.0]], good, 1)


def test_leaves_input_untouched():
    queries, gallery = _points(4, 3, 0), _points(5, 3, 1)
    before = queries.clone(), gallery.clone()
    knn(queries, gallery, 2)
    assert torch.equal(queries, before[0])
    assert torch.equal(gallery, before[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_stays_on_the_gpu():
    queries, gallery = _points(50, 8, 0), _points(60, 8, 1)
    similarity, index = knn(queries.cuda(), gallery.cuda(), 5)
    assert similarity.is_cuda
    assert index.is_cuda
    assert torch.equal(index.cpu(), knn(queries, gallery, 5)[1])
