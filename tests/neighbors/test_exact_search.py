"""Exact search in blocks and tiles against a sorted full product."""

import pytest
import torch

from dscreid.neighbors import exact
from dscreid.neighbors.exact import exact_neighbors
from dscreid.utils.chunks import slices


def _points(n, seed, d=8):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def _sorted(queries, gallery, k):
    value, index = (queries @ gallery.T).sort(dim=1, descending=True, stable=True)
    return value[:, :k], index[:, :k]


@pytest.mark.parametrize('columns', [1, 3, 7, 40])
@pytest.mark.parametrize('k', [1, 5, 33])
def test_tiles_of_the_gallery_do_not_show(monkeypatch, columns, k):
    monkeypatch.setattr(exact, 'search_blocks', lambda q, g: (slices(len(q), 4), slices(len(g), columns)))
    queries, gallery = _points(9, 0), _points(33, 1)
    value, index = exact_neighbors(queries, gallery, k)
    expected = _sorted(queries, gallery, k)
    assert torch.equal(index, expected[1])
    torch.testing.assert_close(value, expected[0])


@pytest.mark.parametrize('columns', [1, 2, 5, 12])
def test_ties_over_tiles_go_to_the_smaller_index(monkeypatch, columns):
    monkeypatch.setattr(exact, 'search_blocks', lambda q, g: (slices(len(q), 2), slices(len(g), columns)))
    gallery = torch.tensor([[1.0, 0], [0, 1]]).repeat(6, 1)
    for k in range(1, 13):
        index = exact_neighbors(gallery[:2], gallery, k)[1]
        assert torch.equal(index, _sorted(gallery[:2], gallery, k)[1])


@pytest.mark.parametrize('columns', [1, 4, 30])
def test_a_row_is_its_own_first_neighbour_among_duplicates(monkeypatch, columns):
    monkeypatch.setattr(exact, 'search_blocks', lambda q, g: (slices(len(q), 7), slices(len(g), columns)))
    points = _points(10, 2).repeat(3, 1)
    value, index = exact_neighbors(points, points, 3, self_first=True)
    assert torch.equal(index[:, 0], torch.arange(30))
    assert torch.isinf(value[:, 0]).all()
    twins = torch.stack([torch.arange(30) % 10 + shift for shift in (0, 10, 20)], dim=1)
    assert torch.equal(index.sort(dim=1).values, twins)
