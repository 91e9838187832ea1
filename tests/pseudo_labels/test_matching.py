"""Cluster matching against brute force and hand-made cases."""

from itertools import permutations

import numpy as np
import pytest
import torch

from dscreid.pseudo_labels import count_votes, greedy_matches, match_clusters_progressively
from dscreid.utils import chunks


def match_clusters_by_votes(*arguments):
    return greedy_matches(count_votes(*arguments)[0])


def _unit(*shape, seed=0):
    rows = np.random.default_rng(seed).normal(size=shape)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _votes_by_hand(visible, infrared, visible_labels, infrared_labels, threshold):
    """Dictionary of votes, pair by pair."""
    votes = {}
    for x, p in zip(visible, visible_labels, strict=True):
        for y, q in zip(infrared, infrared_labels, strict=True):
            if p >= 0 and q >= 0 and x @ y / np.linalg.norm(x) / np.linalg.norm(y) >= threshold:
                votes[p, q] = votes.get((p, q), 0) + 1
    return votes


def _greedy_by_hand(votes):
    pairs = []
    for p, q in sorted(votes, key=lambda pair: (-votes[pair], pair)):
        if all(p != other[0] and q != other[1] for other in pairs):
            pairs.append((p, q))
    return pairs


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('chunk', [7, 2**24])
def test_votes_are_those_of_all_pairs(seed, chunk, monkeypatch):
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', chunk)
    rng = np.random.default_rng(seed)
    visible, infrared = rng.normal(size=(23, 3)), rng.normal(size=(31, 3))
    labels = rng.integers(-1, 5, 23), rng.integers(-1, 6, 31)
    expected = _votes_by_hand(visible, infrared, *labels, 0.3)
    votes, share = count_votes(visible, infrared, *labels, 0.3)
    assert {(p, q): votes[p, q] for p, q in np.argwhere(votes)} == expected
    assert share == pytest.approx(sum(expected.values()) / ((labels[0] >= 0).sum() * (labels[1] >= 0).sum()))
    matches = match_clusters_by_votes(visible, infrared, *labels, 0.3)
    assert matches.dtype == np.int64
    assert [tuple(pair) for pair in matches] == _greedy_by_hand(expected)


def test_greedy_takes_the_most_votes_first_and_each_cluster_once():
    votes = np.array([[9, 8, 0], [7, 0, 0], [0, 6, 0]])
    # (0,0) takes both; (0,1) and (1,0) are blocked, (2,1) follows; cluster 1 and column 2 stay alone
    np.testing.assert_array_equal(greedy_matches(votes), [[0, 0], [2, 1]])


def test_greedy_breaks_ties_by_row_then_column():
    np.testing.assert_array_equal(greedy_matches(np.full((2, 3), 4)), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(greedy_matches(np.array([[1, 2], [2, 3]])), [[1, 1], [0, 0]])


def test_the_threshold_itself_counts_and_below_does_not():
    visible, infrared = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    labels = np.array([0]), np.array([0, 1])
    assert count_votes(visible, infrared, *labels, 1.0)[0].tolist() == [[1, 0]]
    assert count_votes(visible, infrared, *labels, 0.0)[0].tolist() == [[1, 1]]


@pytest.mark.parametrize(('num_visible', 'num_infrared', 'outliers'), [(0, 4, 0), (4, 0, 0), (4, 4, 1), (0, 0, 0)])
def test_without_tracklets_or_clusters_nothing_matches(num_visible, num_infrared, outliers):
    labels = np.zeros(num_visible, np.int64) - outliers, np.zeros(num_infrared, np.int64)
    features = np.ones((num_visible, 3)), np.ones((num_infrared, 3))
    assert match_clusters_by_votes(*features, *labels).shape == (0, 2)
    assert count_votes(*features, *labels)[1] == 0


def test_nothing_above_the_threshold_matches_nothing():
    matches = match_clusters_by_votes(np.eye(2)[:1], np.eye(2)[1:], np.array([0]), np.array([0]))
    assert matches.shape == (0, 2)


def test_votes_leave_the_inputs_alone_and_take_tensors():
    visible, infrared = 3 * _unit(6, 4), _unit(5, 4, seed=1)
    labels = np.array([0, 1, 1, -1, 0, 2]), np.array([0, 0, 1, -1, 1])
    copies = visible.copy(), infrared.copy(), labels[0].copy(), labels[1].copy()
    first = count_votes(visible, infrared, *labels, 0.1)[0]
    for given, copy in zip((visible, infrared, *labels), copies, strict=True):
        np.testing.assert_array_equal(given, copy)
    tensors = torch.from_numpy(visible), torch.from_numpy(infrared)
    np.testing.assert_array_equal(count_votes(*tensors, *labels, 0.1)[0], first)


def test_votes_refuse_features_that_are_not_finite():
    with pytest.raises(ValueError, match='NaN'):
        match_clusters_by_votes(np.full((1, 3), np.nan), np.eye(3), np.zeros(1, int), np.zeros(3, int))


def _best_total(cost):
    """Least total cost of giving distinct rows to all columns, by trying all; rows >= columns."""
    columns = range(cost.shape[1])
    return min(
        sum(cost[r, c] for r, c in zip(rows, columns, strict=True))
        for rows in permutations(range(len(cost)), len(columns))
    )


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize(('larger', 'smaller'), [(4, 4), (5, 3), (7, 3), (6, 1), (1, 1)])
def test_every_cluster_finds_a_partner(larger, smaller, seed):
    visible, infrared = _unit(larger, 3, seed=seed), _unit(smaller, 3, seed=seed + 50)
    rgb_to_ir, ir_to_rgb = match_clusters_progressively(visible, infrared)
    assert rgb_to_ir.dtype == ir_to_rgb.dtype == np.int64
    assert rgb_to_ir.shape == (larger,)
    assert rgb_to_ir.min() >= 0
    assert rgb_to_ir.max() < smaller
    # the smaller side's partners are distinct, mutual, and the cheapest such choice
    assert len(set(ir_to_rgb)) == smaller
    np.testing.assert_array_equal(rgb_to_ir[ir_to_rgb], np.arange(smaller))
    cost = np.exp(-visible @ infrared.T)
    assert cost[ir_to_rgb, np.arange(smaller)].sum() == pytest.approx(_best_total(cost))
    # an infrared cluster is used once per pass, so the loads differ by one at most
    loads = np.bincount(rgb_to_ir, minlength=smaller)
    assert loads.max() - loads.min() <= 1


@pytest.mark.parametrize(('num_visible', 'num_infrared'), [(3, 3), (3, 5), (2, 7)])
def test_more_infrared_clusters_mirror_more_visible_ones(num_visible, num_infrared):
    visible, infrared = _unit(num_visible, 4), _unit(num_infrared, 4, seed=9)
    rgb_to_ir, ir_to_rgb = match_clusters_progressively(visible, infrared)
    mirrored = match_clusters_progressively(infrared, visible)
    np.testing.assert_array_equal(ir_to_rgb, mirrored[0])
    np.testing.assert_array_equal(rgb_to_ir, mirrored[1])
    assert min(rgb_to_ir.min(), ir_to_rgb.min()) == 0


def test_second_and_third_pass_by_hand():
    infrared = np.array([[1.0, 0.0]])
    angles = np.deg2rad([40, 0, 20])
    visible = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # one infrared cluster: the nearest visible one is its partner for good, the others join in later passes
    for passes, expected in ((1, [-1, 0, -1]), (2, [-1, 0, 0]), (3, [0, 0, 0]), (None, [0, 0, 0])):
        rgb_to_ir, ir_to_rgb = match_clusters_progressively(visible, infrared, passes=passes)
        np.testing.assert_array_equal(rgb_to_ir, expected)
        np.testing.assert_array_equal(ir_to_rgb, [1])


def test_two_passes_leave_clusters_over_beyond_twice_the_other_side():
    visible, infrared = _unit(9, 4), _unit(3, 4, seed=3)
    assert (match_clusters_progressively(visible, infrared, passes=2)[0] < 0).sum() == 3
    assert (match_clusters_progressively(visible[:6], infrared, passes=2)[0] >= 0).all()
    swapped = match_clusters_progressively(infrared, visible, passes=2)
    assert (swapped[1] < 0).sum() == 3
    assert (swapped[0] >= 0).all()


def test_without_mirror_more_infrared_clusters_match_nothing():
    visible, infrared = _unit(3, 4), _unit(4, 4, seed=3)
    for partners in match_clusters_progressively(visible, infrared, mirror=False):
        assert (partners == -1).all()
    with_mirror = match_clusters_progressively(infrared, visible)
    for got, expected in zip(match_clusters_progressively(infrared, visible, mirror=False), with_mirror, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_matching_finds_a_planted_permutation_whatever_the_norms():
    centers = _unit(12, 16)
    order = np.random.default_rng(1).permutation(12)
    rgb_to_ir, ir_to_rgb = match_clusters_progressively(centers * 5, torch.from_numpy(centers[order] * 0.1))
    np.testing.assert_array_equal(order[rgb_to_ir], np.arange(12))
    np.testing.assert_array_equal(ir_to_rgb, order)


def test_progressive_matching_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match='at least one center'):
        match_clusters_progressively(np.ones((0, 3)), np.eye(3))
    with pytest.raises(ValueError, match='NaN'):
        match_clusters_progressively(np.full((2, 3), np.nan), np.eye(3))
