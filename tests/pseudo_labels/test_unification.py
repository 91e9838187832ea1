"""GUR in unification.py against its formulas on dense matrices, and by hand."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dscreid.pseudo_labels import smooth_labels, vote_across
from dscreid.pseudo_labels.unification import pool_votes
from dscreid.utils import chunks


def unit(rng, num, dim=5):
    rows = rng.standard_normal((num, dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def one_hot(labels):
    return np.eye(labels.max() + 2)[labels + 1]


def dense_votes(visible, infrared, labels, topk, temperature=1.0):
    """argmax(W onehot(y + 1)) - 1 with W the softmax of the cosines, its topk entries per row alone."""
    weights = np.exp(visible @ infrared.T / temperature)
    weights /= weights.sum(axis=1, keepdims=True)
    last = np.sort(weights, axis=1)[:, -min(topk, weights.shape[1])]
    return (np.where(weights >= last[:, None], weights, 0) @ one_hot(labels)).argmax(axis=1) - 1


def dense_smoothing(rows, labels, topk):
    similarity = rows @ rows.T
    last = np.sort(similarity, axis=1)[:, -min(topk, len(rows))]
    return ((similarity >= last[:, None]) @ one_hot(labels)).argmax(axis=1) - 1


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('topk', [1, 4, 20, 100])
@pytest.mark.parametrize('temperature', [1.0, 0.05])
def test_votes_are_those_of_the_formula(seed, topk, temperature):
    rng = np.random.default_rng(seed)
    visible, infrared = unit(rng, 30), unit(rng, 50)
    labels = rng.integers(-1, 6, 50)
    expected = dense_votes(visible, infrared, labels, topk, temperature)
    np.testing.assert_array_equal(vote_across(visible, infrared, labels, topk, temperature), expected)
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('topk', [1, 3, 10, 100])
def test_smoothing_is_that_of_the_formula(seed, topk):
    rng = np.random.default_rng(seed)
    rows, labels = unit(rng, 60), rng.integers(-1, 4, 60)
    expected = dense_smoothing(rows, labels, topk)
    np.testing.assert_array_equal(smooth_labels(rows, labels, topk), expected)
    assert topk > 1 or (expected == labels).all()


def test_chunks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    visible, infrared, labels = unit(rng, 30), unit(rng, 50), rng.integers(-1, 6, 50)
    whole = vote_across(visible, infrared, labels, 8), smooth_labels(infrared, labels, 8)
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 200)
    np.testing.assert_array_equal(vote_across(visible, infrared, labels, 8), whole[0])
    np.testing.assert_array_equal(smooth_labels(infrared, labels, 8), whole[1])


def at(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_weights_decide_between_equal_counts():
    infrared, labels = at(10, 40, 50, 60), np.array([3, 3, 1, 1])
    assert vote_across(at(0), infrared, labels, topk=4).tolist() == [3]
    # of three, the two farther ones outweigh the nearest unless the softmax is sharp
    labels = np.array([3, 1, 1, 0])
    assert vote_across(at(0), infrared, labels, topk=3).tolist() == [1]
    assert vote_across(at(0), infrared, labels, topk=3, temperature=0.1).tolist() == [3]


def test_an_outlier_is_a_class_or_silent():
    infrared, labels = at(10, 20, 30, 40), np.array([-1, -1, 2, 5])
    assert vote_across(at(0), infrared, labels, topk=4).tolist() == [-1]
    assert vote_across(at(0), infrared, labels, topk=4, outliers_vote=False).tolist() == [2]
    assert vote_across(at(0), infrared, labels, topk=2, outliers_vote=False).tolist() == [-1]
    assert smooth_labels(infrared, labels, topk=4).tolist() == [-1] * 4
    assert smooth_labels(infrared, labels, topk=4, outliers_vote=False).tolist() == [2] * 4


def test_equals_go_to_the_smallest_label():
    assert smooth_labels(at(0, 1, 2, 3), np.array([7, 4, 7, 4]), topk=4).tolist() == [4] * 4
    assert smooth_labels(at(0, 1), np.array([-1, 4]), topk=2).tolist() == [-1] * 2


def test_a_tracklet_is_its_own_neighbour_among_duplicates():
    assert smooth_labels(at(0, 0, 0), np.array([2, 1, 0]), topk=1).tolist() == [2, 1, 0]


def test_lengths_do_not_matter_and_inputs_stay():
    rng = np.random.default_rng(2)
    visible, infrared, labels = unit(rng, 20), unit(rng, 30), rng.integers(-1, 5, 30)
    copies = visible.copy(), infrared.copy(), labels.copy()
    scaled = vote_across(visible * 7, infrared * rng.uniform(1, 9, (30, 1)), labels, 6)
    np.testing.assert_array_equal(scaled, vote_across(visible, infrared, labels, 6))
    for before, after in zip(copies, (visible, infrared, labels), strict=True):
        np.testing.assert_array_equal(before, after)


def test_empty_sides():
    assert vote_across(at(), at(0), np.array([1])).tolist() == []
    assert vote_across(at(0, 1), at(), np.empty(0, np.int64)).tolist() == [-1, -1]
    assert smooth_labels(at(), np.empty(0, np.int64)).tolist() == []


@pytest.mark.parametrize(
    'bad',
    [
        {'topk': 0},
        {'infrared_labels': np.array([0])},
        {'infrared_labels': np.array([0, -2])},
        {'infrared_labels': np.array([0.0, 1.0])},
        {'visible': at(0) * np.nan},
    ],
)
def test_bad_input_is_refused(bad):
    with pytest.raises(ValueError, match=r'must|hold NaN'):
        vote_across(**{'visible': at(0), 'infrared': at(0, 1), 'infrared_labels': np.array([0, 1]), **bad})
    with pytest.raises(ValueError, match='k must be at least 1'):
        smooth_labels(at(0), np.array([0]), topk=0)


def slow_pool(labels, votes, clusters, min_share):
    result = labels.copy()
    for cluster in set(clusters[clusters >= 0].tolist()):
        rows = np.flatnonzero(clusters == cluster)
        sums = {}
        for row in rows:
            if labels[row] >= 0:
                sums[labels[row]] = sums.get(labels[row], 0) + votes[row]
        best = max(sums.values(), default=0)
        winners = [label for label, total in sums.items() if total == best]
        kept = best > 0 and best >= min_share * sum(sums.values())
        result[rows] = min(winners) if kept else -1
    return result


@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 4), st.integers(-1, 3)), max_size=30),
    st.sampled_from([0.0, 0.5, 0.75, 1.0]),
)
def test_pooled_votes_are_those_of_loops(rows, min_share):
    labels, votes, clusters = np.array(rows, np.int64).reshape(-1, 3).T
    expected = slow_pool(labels, votes, clusters, min_share)
    np.testing.assert_array_equal(pool_votes(labels, votes, clusters, min_share), expected)


def test_a_cluster_is_not_divided_by_its_votes():
    labels, votes = np.array([5, 5, 7, 7, -1, 2]), np.array([3, 3, 5, 4, 0, 1])
    clusters = np.array([0, 0, 0, 0, 0, -1])
    np.testing.assert_array_equal(pool_votes(labels, votes, clusters), [7, 7, 7, 7, 7, 2])
    np.testing.assert_array_equal(pool_votes(labels, votes, clusters, min_share=0.7), [-1, -1, -1, -1, -1, 2])


def largest_sum_of_pairs(labels, votes, clusters):
    """The largest sum of votes of pairs of clusters and labels, none of them twice, by trying all."""
    voters = (clusters >= 0) & (labels >= 0)
    rows = sorted(set(clusters[clusters >= 0].tolist()))
    columns = [*sorted(set(labels[voters].tolist())), *[None] * len(rows)]
    voted = {
        (c, label): int(votes[voters & (clusters == c) & (labels == label)].sum()) for c in rows for label in columns
    }
    choices = (zip(rows, chosen, strict=True) for chosen in permutations(columns, len(rows)))
    return max(sum(voted[pair] for pair in pairs) for pairs in choices)


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 4), st.integers(-1, 2)), max_size=30))
def test_no_two_clusters_share_a_label_one_to_one(rows):
    labels, votes, clusters = np.array(rows, np.int64).reshape(-1, 3).T
    pooled = pool_votes(labels, votes, clusters, one_to_one=True)
    np.testing.assert_array_equal(pooled[clusters < 0], labels[clusters < 0])
    pairs = {(c, label) for c, label in zip(clusters.tolist(), pooled.tolist(), strict=True) if c >= 0 <= label}
    assert len(pairs) == len({c for c, _ in pairs}) == len({label for _, label in pairs})
    kept = sum(int(votes[(clusters == c) & (labels == label)].sum()) for c, label in pairs)
    assert kept == largest_sum_of_pairs(labels, votes, clusters)


def test_a_cluster_may_lose_its_most_voted_label_to_another():
    labels, votes, clusters = np.array([0, 1, 0, 0, 1]), np.array([5, 3, 6, 2, 1]), np.array([0, 0, 1, 2, 2])
    np.testing.assert_array_equal(pool_votes(labels, votes, clusters), [0, 0, 0, 0, 0])
    np.testing.assert_array_equal(pool_votes(labels, votes, clusters, one_to_one=True), [1, 1, 0, -1, -1])
    # 3 of the 8 votes of cluster 0
    np.testing.assert_array_equal(pool_votes(labels, votes, clusters, 0.4, one_to_one=True), [-1, -1, 0, -1, -1])


def test_a_cluster_without_a_label_may_get_one_of_its_own():
    labels, votes, clusters = np.array([0, 1, 0, 0, 1, 1]), np.array([5, 3, 6, 2, 1, 1]), np.array([0, 0, 1, 2, 2, -1])
    for share, expected in ((0.0, [1, 1, 0, 7, 7, 1]), (0.4, [7, 7, 0, 8, 8, 1])):
        pooled = pool_votes(labels, votes, clusters, share, one_to_one=True, own_labels=True, num_labels=7)
        np.testing.assert_array_equal(pooled, expected)
    none = np.full(6, -1)
    pooled = pool_votes(none, np.zeros(6, np.int64), clusters, own_labels=True, num_labels=0)
    np.testing.assert_array_equal(pooled, [0, 0, 1, 2, 2, -1])
    for num_labels in (None, 1):
        with pytest.raises(ValueError, match='own_labels needs num_labels above all labels'):
            pool_votes(labels, votes, clusters, own_labels=True, num_labels=num_labels)


def test_pooling_needs_one_vote_per_tracklet_and_a_share():
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match='1 labels, 2 votes, 2 clusters'):
        pool_votes(one, two, two)
    with pytest.raises(ValueError, match=r'min_share must lie in \[0, 1\], got 2'):
        pool_votes(one, one, one, min_share=2)
    with pytest.raises(TypeError, match="one_to_one must be True or False, got 'no'"):
        pool_votes(one, one, one, one_to_one='no')
    with pytest.raises(TypeError, match="own_labels must be True or False, got 'no'"):
        pool_votes(one, one, one, own_labels='no')
