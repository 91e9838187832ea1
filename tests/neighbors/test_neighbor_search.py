"""The search of a config, and faiss's searches against the exact one."""

import builtins

import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.neighbors import NeighborSearch, current_search, search_with
from dscreid.neighbors.exact import exact_neighbors
from dscreid.neighbors.search import measured_recall
from dscreid.pseudo_labels import jaccard_distance, knn


def _clustered(num, seed=0, d=16):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(max(1, num // 10), d, generator=generator)
    points = centres[torch.arange(num) % len(centres)] + 0.3 * torch.randn(num, d, generator=generator)
    return torch.nn.functional.normalize(points, dim=1)


def approximate(index, parameters=''):
    """A search that uses faiss for small galleries, too."""
    return NeighborSearch(index, parameters, smallest=0)


def test_flat_search_is_the_exact_one():
    queries, gallery = _clustered(60, 1), _clustered(300)
    value, index = approximate('Flat')(queries, gallery, 7)
    expected = exact_neighbors(queries, gallery, 7)
    assert torch.equal(index, expected[1])
    torch.testing.assert_close(value, expected[0])


@pytest.mark.parametrize(
    ('index', 'parameters'),
    [('IVF32,Flat', 'nprobe=24'), ('HNSW32,Flat', 'efSearch=64'), ('IVF32,SQ8', 'nprobe=24')],
)
def test_approximate_searches_find_nearly_all_and_score_exactly(index, parameters):
    points = _clustered(2000)
    value, index = approximate(index, parameters)(points, points, 10, self_first=True)
    expected = exact_neighbors(points, points, 10, self_first=True)
    assert torch.equal(index[:, 0], torch.arange(2000))
    found = (index[:, :, None] == expected[1][:, None, :]).any(dim=2).float().mean()
    assert found > 0.97
    scores = (points[:, None, :] * points[index]).sum(dim=2)
    torch.testing.assert_close(value[:, 1:], scores[:, 1:])
    assert (value.diff(dim=1) <= 0).all()


@pytest.mark.parametrize('index', ['IVF32,Flat', 'HNSW32,Flat', 'Flat'])
def test_a_search_repeats_itself(index):
    points = _clustered(1500)
    first, second = (approximate(index)(points, points, 8, True)[1] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize('self_first', [False, True])
def test_cells_with_too_few_members_are_filled_up_exactly(self_first):
    points = _clustered(400)
    value, index = approximate('IVF10,Flat')(points, points, 200, self_first)
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
    with pytest.warns(UserWarning, match='recall@20 0[.].*increase nprobe'):
        approximate('IVF64,Flat')(points, points, 20)


def test_small_galleries_and_no_queries_are_searched_exactly():
    points = _clustered(500)
    search = NeighborSearch('no such index', smallest=501)
    assert all(map(torch.equal, search(points, points, 5), NeighborSearch()(points, points, 5)))
    assert search.is_exact(500)
    assert not search.is_exact(501)
    assert approximate('Flat').is_exact(0)
    assert approximate('no such index')(points[:0], points, 5)[1].shape == (0, 5)


@pytest.mark.parametrize(('index', 'parameters'), [('IVF10,Flatt', ''), ('IVF5000,Flat', ''), ('Flat', 'nprob=2')])
def test_what_faiss_refuses_is_named(index, parameters):
    points = _clustered(500)
    with pytest.raises(ConfigError, match=rf"faiss cannot use index='{index}'.*for 500 rows of 16 dimensions"):
        approximate(index, parameters)(points, points, 5)


def test_a_block_uses_its_search_and_leaves_the_one_before():
    points = _clustered(200)
    asked = approximate('Flat')
    with search_with(asked):
        assert current_search() is asked
        with search_with(NeighborSearch('HNSW32,Flat')):
            assert current_search().index == 'HNSW32,Flat'
        flat = knn(points, points, 5)[1]
    assert current_search() == NeighborSearch()
    assert torch.equal(flat, knn(points, points, 5)[1])


def test_jaccard_distance_takes_the_search():
    points = _clustered(600)
    exact = jaccard_distance(points, 10, 3).toarray()
    with search_with(approximate('IVF10,Flat', 'nprobe=10')):
        found = jaccard_distance(points, 10, 3).toarray()
    assert abs(exact - found).max() < 1e-6


@pytest.mark.parametrize(
    'wrong',
    [{'index': 32}, {'parameters': 'nprobe=2'}, {'smallest': -1}, {'lowest_recall': 1.5}, {'shared': 'no'}],
    ids=lambda wrong: next(iter(wrong)),
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
        approximate('Flat')(_clustered(20), _clustered(20), 2)
