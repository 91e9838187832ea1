"""CMC, mAP, mINP and ranked lists against sorting query by query."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from references.ranking import evaluate, evaluate_with_lists

from dscreid.errors import EvaluationError
from dscreid.evaluation import InnerProduct, rank_lists, rank_metrics, rank_queries
from dscreid.utils import chunks


def _world(seed, nq=20, ng=50, pids=8, cameras=3, d=4, whole_numbers=False):
    """Arguments of rank_metrics; whole numbers make exact ties."""
    rng = np.random.default_rng(seed)

    def features(n):
        return (rng.integers(-2, 3, size=(n, d)) if whole_numbers else rng.normal(size=(n, d))).astype(float)

    sides = []
    for n in (nq, ng):
        sides += [features(n), rng.integers(pids, size=n), rng.integers(cameras, size=n)]
    return sides


@settings(max_examples=80, deadline=None)
@given(
    nq=st.integers(1, 12),
    ng=st.integers(1, 40),
    pids=st.integers(1, 12),
    whole_numbers=st.booleans(),
    drop=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_equals_oracle(nq, ng, pids, whole_numbers, drop, seed):
    world = _world(seed, nq, ng, pids, whole_numbers=whole_numbers)
    matches = (world[1][:, None] == world[4]) & ~(drop & (world[2][:, None] == world[5]))
    assume(matches.any())
    ranks = (1, 2, 5, 20)
    metrics = rank_metrics(*world, ranks=ranks, drop_same_camera=drop)
    assert metrics == pytest.approx(evaluate(*world, ranks, drop), abs=1e-12)
    assert metrics == pytest.approx(evaluate_with_lists(*world, ranks, drop), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    nq=st.integers(1, 8),
    ng=st.integers(1, 20),
    pids=st.integers(1, 4),
    whole_numbers=st.booleans(),
    drop=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_unknown_persons_match_nobody(nq, ng, pids, whole_numbers, drop, seed):
    world = _world(seed, nq, ng, pids, whole_numbers=whole_numbers)
    rng = np.random.default_rng(seed)
    distinct = [part.copy() for part in world]  # each unknown person is somebody of their own
    for place, first in ((1, 100), (4, 200)):
        unknown = rng.random(len(world[place])) < 0.4
        world[place][unknown] = rng.choice([-1, -7], size=unknown.sum())
        distinct[place][unknown] = first + np.flatnonzero(unknown)
    same = distinct[1][:, None] == distinct[4]
    assume((same & ~(drop & (world[2][:, None] == world[5]))).any())
    metrics = rank_metrics(*world, ranks=(1, 5), drop_same_camera=drop)
    assert metrics == pytest.approx(evaluate(*distinct, (1, 5), drop), abs=1e-12)
    lists, expected = rank_lists(*world, drop_same_camera=drop), rank_lists(*distinct, drop_same_camera=drop)
    np.testing.assert_array_equal(lists.index, expected.index)
    np.testing.assert_array_equal(lists.correct, expected.correct)


def test_only_unknown_persons():
    features = np.eye(2)
    with pytest.raises(EvaluationError, match='none of the 2 queries has a true match among the 2'):
        rank_metrics(features, [-1, -1], [0, 0], features, [-1, -1], [1, 1])


def test_one_query_and_one_gallery_tracklet():
    one = (np.ones((1, 3)), [4], [0])
    expected = {'mAP': 1, 'mINP': 1, 'Rank-1': 1, 'Rank-20': 1, 'valid_queries': 1}
    assert rank_metrics(*one, *one, ranks=(1, 20)) == expected
    with pytest.raises(EvaluationError, match='same person and camera are left out'):
        rank_metrics(*one, *one, drop_same_camera=True)


def test_row_chunks_do_not_show(monkeypatch):
    world = _world(0)
    whole = rank_metrics(*world), rank_lists(*world)
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 150)
    assert rank_metrics(*world) == pytest.approx(whole[0])
    np.testing.assert_array_equal(rank_lists(*world).index, whole[1].index)


def test_by_hand():
    # one query of person 1 at camera 0; gallery in ranked order: 2, 1, 2, 1
    query = (torch.tensor([[1.0]]), [1], [0])
    gallery = (torch.tensor([[4.0], [3.0], [2.0], [1.0]]), [2, 1, 2, 1], [0, 0, 0, 1])
    metrics = rank_metrics(*query, *gallery, ranks=(1, 2, 9))
    assert metrics == pytest.approx(
        {'mAP': (1 / 2 + 2 / 4) / 2, 'mINP': 2 / 4, 'Rank-1': 0, 'Rank-2': 1, 'Rank-9': 1, 'valid_queries': 1}
    )
    # the match at rank 2 shares the camera: left are 2, 2, 1
    metrics = rank_metrics(*query, *gallery, ranks=(1, 2, 3), drop_same_camera=True)
    assert metrics == pytest.approx(
        {'mAP': 1 / 3, 'mINP': 1 / 3, 'Rank-1': 0, 'Rank-2': 0, 'Rank-3': 1, 'valid_queries': 1}
    )


def test_ranks_of_single_queries():
    # person 1 twice: all its matches, then only the one of another camera; person 9 is not there
    gallery = np.array([[4.0], [3.0], [2.0], [1.0]]), [2, 1, 2, 1], [0, 0, 0, 1]
    scores = InnerProduct(np.ones((3, 1)), gallery[0])
    found = rank_queries(scores, [1, 1, 9], [5, 0, 0], *gallery[1:], drop_same_camera=True)
    assert found.matches.tolist() == [2, 1, 0]
    assert found.first.tolist() == [2, 3, 0]
    np.testing.assert_allclose(found.average_precision, [1 / 2, 1 / 3, np.nan])
    np.testing.assert_allclose(found.inverse_penalty, [1 / 2, 1 / 3, np.nan])


@pytest.mark.parametrize('chunk', [1, 75, 2**24])
def test_means_of_single_queries_are_the_metrics(monkeypatch, chunk):
    world = _world(6, pids=30)
    metrics = rank_metrics(*world, ranks=(3,))
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', chunk)
    found = rank_queries(InnerProduct(world[0], world[3]), *world[1:3], *world[4:])
    assert (found.matches > 0).sum() == metrics['valid_queries'] < 20
    assert np.nanmean(found.average_precision) == pytest.approx(metrics['mAP'])
    assert np.nanmean(found.inverse_penalty) == pytest.approx(metrics['mINP'])
    assert (found.first[found.matches > 0] <= 3).mean() == pytest.approx(metrics['Rank-3'])


def test_same_camera_of_other_persons_stays():
    query = (np.ones((1, 1)), [1], [0])
    gallery = (np.array([[2.0], [1.0]]), [2, 1], [0, 1])
    assert rank_metrics(*query, *gallery, ranks=(1,), drop_same_camera=True)['Rank-1'] == 0


def test_ties_keep_the_order_of_the_gallery():
    same = np.ones((3, 2))
    query = (np.ones((1, 2)), [5], [0])
    for pids, precision in (([5, 6, 7], 1), ([6, 5, 7], 1 / 2), ([6, 7, 5], 1 / 3)):
        assert rank_metrics(*query, same, pids, [1, 1, 1])['mAP'] == pytest.approx(precision)


def test_queries_without_a_match_are_not_counted():
    features = np.eye(2)
    metrics = rank_metrics(features, [1, 9], [0, 0], features, [1, 2], [1, 1])
    assert metrics['valid_queries'] == 1
    assert metrics['mAP'] == 1
    assert {type(value) for key, value in metrics.items() if key != 'valid_queries'} == {float}
    assert type(metrics['valid_queries']) is int


def test_no_match_at_all():
    features = np.eye(2)
    with pytest.raises(ValueError, match='none of the 2 queries has a true match among the 2'):
        rank_metrics(features, [1, 2], [0, 0], features, [3, 4], [1, 1])
    with pytest.raises(ValueError, match='same person and camera are left out'):
        rank_metrics(features, [1, 2], [0, 0], features, [1, 2], [0, 0], drop_same_camera=True)
    with pytest.raises(ValueError, match='none of the 0 queries'):
        rank_metrics(features[:0], [], [], features, [3, 4], [1, 1])
    with pytest.raises(ValueError, match='among the 0'):
        rank_metrics(features, [1, 2], [0, 0], features[:0], [], [])


def test_kinds_of_input_and_untouched():
    world = _world(1)
    before = [part.copy() for part in world]
    expected = rank_metrics(*world)
    tensors = [torch.from_numpy(part) for part in world]
    assert rank_metrics(*tensors) == pytest.approx(expected)
    mixed = [tensors[0].float(), *world[1:]]
    assert rank_metrics(*mixed) == pytest.approx(expected)
    for part, old in zip(world, before, strict=True):
        np.testing.assert_array_equal(part, old)


def test_refuses_bad_input():
    world = _world(2)
    with pytest.raises(ValueError, match='query features, pids and cameras differ in length'):
        rank_metrics(world[0], world[1][:3], *world[2:])
    with pytest.raises(ValueError, match=r'differ in width \(4 and 3\)'):
        rank_metrics(*world[:3], world[3][:, :3], *world[4:])
    with pytest.raises(ValueError, match='ranks must be positive'):
        rank_metrics(*world, ranks=(0, 1))
    with pytest.raises(ValueError, match='ranks must be positive'):
        rank_metrics(*world, ranks=())
    with pytest.raises(ValueError, match='of gallery_features hold NaN'):
        rank_metrics(*world[:3], world[3] * np.nan, *world[4:])
    with pytest.raises(ValueError, match='inner products overflow; normalize'):
        rank_metrics(world[0].astype(np.float32) * 1e19, *world[1:3], world[3] * 1e19, *world[4:])
    with pytest.raises(ValueError, match='gallery features, pids and cameras differ in length: 50, 50, 4'):
        rank_metrics(*world[:5], world[5][:4])
    with pytest.raises(ValueError, match='topk'):
        rank_lists(*world, topk=0)


@pytest.mark.parametrize('drop', [False, True])
@pytest.mark.parametrize('whole_numbers', [False, True])
def test_lists_are_the_head_of_the_ranking(drop, whole_numbers):
    world = _world(3, whole_numbers=whole_numbers)
    query, query_pids, query_cameras, gallery, gallery_pids, gallery_cameras = world
    lists = rank_lists(*world, topk=6, drop_same_camera=drop)
    for i in range(len(query)):
        similarity = gallery @ query[i]
        order = np.argsort(-similarity, kind='stable')
        if drop:
            order = [
                j for j in order
                if gallery_pids[j] != query_pids[i] or gallery_cameras[j] != query_cameras[i]
            ]  # fmt: skip
        np.testing.assert_array_equal(lists.index[i], order[:6])
        np.testing.assert_array_equal(lists.correct[i], gallery_pids[order[:6]] == query_pids[i])
        np.testing.assert_allclose(lists.similarity[i], similarity[order[:6]], rtol=1e-6)


def test_lists_of_a_short_gallery_are_padded():
    query = (np.ones((2, 1)), [1, 2], [0, 0])
    lists = rank_lists(*query, np.array([[1.0], [2.0]]), [1, 3], [0, 0], topk=3, drop_same_camera=True)
    assert lists.index.tolist() == [[1, -1, -1], [1, 0, -1]]
    assert not lists.correct.any()
    assert np.isnan(lists.similarity).tolist() == [[False, True, True], [False, False, True]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_equal_on_the_gpu():
    world = _world(4)
    on_gpu = [torch.from_numpy(part).cuda() for part in world]
    assert rank_metrics(*on_gpu) == pytest.approx(rank_metrics(*world))
    np.testing.assert_array_equal(rank_lists(*on_gpu).index, rank_lists(*world).index)


def test_unknown_people_match_nobody():
    features = np.eye(4, dtype=np.float32) + 0.1
    scores = InnerProduct(features[:2], features)
    ranks = rank_queries(scores, [-1, 3], [0, 0], [-1, -1, 3, -2], [1, 1, 1, 1])
    assert ranks.matches.tolist() == [0, 1]
    assert ranks.first.tolist() == [0, 3]  # all of equal score but the query's own place
    lists = rank_lists(features[:2], [-1, 3], [0, 0], features, [-1, -1, 3, -2], [1, 1, 1, 1], topk=4)
    assert lists.correct.sum(axis=1).tolist() == [0, 1]


def test_a_querys_own_tracklet_is_left_out_of_its_gallery():
    features = np.array([[1, 0], [0.8, 0.6], [1, 0], [0.6, 0.8]], np.float32)
    pids, cameras, numbers = [5, 5, 5, 6], [0, 0, 0, 0], [0, 1, 0, 3]
    query = features[:1], pids[:1], cameras[:1]
    plain = rank_lists(*query, features[1:], pids[1:], cameras[1:], topk=3)
    assert plain.index.tolist() == [[1, 0, 2]]  # it finds itself first
    tracklets = numbers[:1], numbers[1:]
    lists = rank_lists(*query, features[1:], pids[1:], cameras[1:], topk=3, tracklets=tracklets)
    assert lists.index.tolist() == [[0, 2, -1]]
    scores = InnerProduct(features[:1], features[1:])
    ranks = rank_queries(scores, pids[:1], cameras[:1], pids[1:], cameras[1:], tracklets=tracklets)
    assert (ranks.matches.tolist(), ranks.first.tolist()) == ([1], [1])
    with pytest.raises(ValueError, match='none of the 1 queries'):
        rank_queries(scores, [7], [0], pids[1:], cameras[1:], tracklets=tracklets)


@pytest.mark.parametrize('seed', range(4))
def test_a_camera_of_the_same_place_is_left_out(seed):
    world = _world(seed, whole_numbers=True)
    query = world[2] == 1
    kept = ~((world[5] == 2)[None] & query[:, None])
    found = rank_queries(InnerProduct(world[0], world[3]), *world[1:3], *world[4:], same_place=((1, 2),))
    lists = rank_lists(*world, topk=50, same_place=((1, 2),))
    for row, columns in enumerate(kept):
        own = rank_lists(*(part[[row]] for part in world[:3]), *(part[columns] for part in world[3:]), topk=50)
        expected = np.flatnonzero(columns)[own.index[own.index >= 0]]
        assert lists.index[row][lists.index[row] >= 0].tolist() == expected.tolist()
        hits = np.flatnonzero(own.correct[0]) + 1
        assert found.matches[row] == len(hits)
        assert found.first[row] == (hits[0] if len(hits) else 0)


@pytest.mark.parametrize('seed', range(4))
def test_the_first_match_is_counted_among_persons(seed):
    world = _world(seed, whole_numbers=True)
    sides = InnerProduct(world[0], world[3]), *world[1:3], *world[4:]
    found, plain = (rank_queries(*sides, drop_same_camera=True, count_persons=count) for count in (True, False))
    lists = rank_lists(*world, topk=50, drop_same_camera=True)
    for row, (index, correct) in enumerate(zip(lists.index, lists.correct, strict=True)):
        persons = list(dict.fromkeys(world[4][index[index >= 0]]))
        assert found.first[row] == (persons.index(world[1][row]) + 1 if correct.any() else 0)
    for name in ('matches', 'average_precision', 'inverse_penalty'):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))


def test_persons_are_counted_in_blocks(monkeypatch):
    world = _world(9)
    sides = InnerProduct(world[0], world[3]), *world[1:3], *world[4:]
    whole = rank_queries(*sides, count_persons=True)
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 60)
    np.testing.assert_array_equal(rank_queries(*sides, count_persons=True).first, whole.first)
    nobody = rank_queries(InnerProduct(world[0], world[3]), [7] + [99] * 19, *sides[2:], count_persons=True)
    assert nobody.first[0] > 0
    assert not nobody.first[1:].any()
