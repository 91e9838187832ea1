"""Choice of a search, and faiss's searches against the exact one."""

import builtins
import sys

import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.neighbors import NeighborSearch, choice, current_search, search_with
from dscreid.neighbors.approximate import measured_recall
from dscreid.neighbors.exact import exact_neighbors
from dscreid.pseudo_labels import jaccard_distance, knn


def _clustered(num, seed=0, d=16):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(max(1, num // 10), d, generator=generator)
    points = centres[torch.arange(num) % len(centres)] + 0.3 * torch.randn(num, d, generator=generator)
    return torch.nn.functional.normalize(points, dim=1)


def test_flat_search_is_the_exact_one():
    queries, gallery = _clustered(60, 1), _clustered(300)
    value, index = NeighborSearch('flat')(queries, gallery, 7)
    expected = exact_neighbors(queries, gallery, 7)
    assert torch.equal(index, expected[1])
    torch.testing.assert_close(value, expected[0])


@pytest.mark.parametrize('method', ['ivf', 'hnsw'])
def test_approximate_searches_find_nearly_all_and_score_exactly(method):
    points = _clustered(2000)
    value, index = NeighborSearch(method, effort=64)(points, points, 10, self_first=True)
    expected = exact_neighbors(points, points, 10, self_first=True)
    assert torch.equal(index[:, 0], torch.arange(2000))
    found = (index[:, :, None] == expected[1][:, None, :]).any(dim=2).float().mean()
    assert found > 0.97
    scores = (points[:, None, :] * points[index]).sum(dim=2)
    torch.testing.assert_close(value[:, 1:], scores[:, 1:])
    assert (value.diff(dim=1) <= 0).all()


@pytest.mark.parametrize('method', ['ivf', 'hnsw', 'flat'])
def test_a_search_repeats_itself(method):
    points = _clustered(1500)
    first, second = (NeighborSearch(method, effort=4)(points, points, 8, True)[1] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize('self_first', [False, True])
def test_cells_with_too_few_members_are_filled_up_exactly(self_first):
    points = _clustered(400)
    value, index = NeighborSearch('ivf', effort=1)(points, points, 200, self_first)
    assert (index >= 0).all()
    assert torch.isfinite(value[:, int(self_first) :]).all()
    assert all(len(row.unique()) == 200 for row in index)


def test_recall_counts_found_neighbours():
    points = _clustered(100)
    truth = exact_neighbors(points, points, 4)[1]
    assert measured_recall(points, points, truth) == 1
    half = truth.clone()
    half[:, 2:] = -1
    assert measured_recall(points, points, half) == pytest.approx(0.5)


def test_low_recall_is_a_warning():
    points = torch.nn.functional.normalize(torch.randn(3000, 32, generator=torch.Generator().manual_seed(0)))
    with pytest.warns(UserWarning, match='recall@20 0[.].*raise effort'):
        NeighborSearch('ivf', effort=1)(points, points, 20)


def test_auto_leaves_the_exact_search_where_it_would_take_long(monkeypatch):
    points = _clustered(500)
    assert NeighborSearch().method_for(len(points), len(points), 16, False) == 'exact'
    monkeypatch.setattr(choice, '_EXACT_LIMIT', 1000)
    assert NeighborSearch().method_for(len(points), len(points), 16, False) == 'ivf'
    assert NeighborSearch().method_for(len(points[:0]), len(points), 16, False) == 'exact'
    monkeypatch.setattr(choice, 'has_faiss', lambda: False)
    assert NeighborSearch().method_for(len(points), len(points), 16, False) == 'exact'


def test_without_faiss_the_exact_search_is_taken_and_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(choice, '_EXACT_LIMIT', 1000)
    monkeypatch.setattr(choice, 'print_log', lambda message, **options: said.append(message))
    monkeypatch.setitem(sys.modules, 'faiss', None)
    choice._say_once.cache_clear()
    points = _clustered(500)
    exact = NeighborSearch('exact')(points, points, 5)
    for _ in range(3):
        assert all(map(torch.equal, NeighborSearch()(points, points, 5), exact))
    assert said == ['faiss is not installed: neighbors are searched exactly, which will take long']
    choice._say_once.cache_clear()


def test_a_block_uses_its_search_and_leaves_the_one_before():
    points = _clustered(200)
    asked = NeighborSearch('flat')
    with search_with(asked):
        assert current_search() is asked
        with search_with(NeighborSearch('hnsw')):
            assert current_search().method == 'hnsw'
        flat = knn(points, points, 5)[1]
    assert current_search() == NeighborSearch()
    assert torch.equal(flat, knn(points, points, 5)[1])


def test_jaccard_distance_takes_the_search():
    points = _clustered(600)
    exact = jaccard_distance(points, 10, 3).toarray()
    with search_with(NeighborSearch('ivf', effort=100)):
        approximate = jaccard_distance(points, 10, 3).toarray()
    assert abs(exact - approximate).max() < 1e-6


@pytest.mark.parametrize(
    'wrong', [{'method': 'faiss'}, {'effort': 0}, {'lowest_recall': 1.5}], ids=lambda wrong: next(iter(wrong))
)
def test_wrong_values_are_refused(wrong):
    with pytest.raises(ConfigError, match='neighbor search: '):
        NeighborSearch(**wrong)


def test_missing_faiss_is_named(monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if name == 'faiss':
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, '__import__', refuse)
    with pytest.raises(ConfigError, match='pip install faiss-cpu'):
        NeighborSearch('flat')(_clustered(20), _clustered(20), 2)
