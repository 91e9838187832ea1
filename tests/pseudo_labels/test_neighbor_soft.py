"""Neighbour-soft labels and weights against plain loops."""

import numpy as np
import pytest

from dscreid.pseudo_labels import confidence_weights, label_shares, overlap_shares, soft_targets
from dscreid.pseudo_labels.neighbor_soft import neighbor_count


def _case(seed, n=40, m=30, k=7, clusters=5, outliers=0.4):
    """Random neighbours (n, k) of m labelled tracklets, every cluster present."""
    rng = np.random.default_rng(seed)
    neighbors = np.stack([rng.choice(m, k, replace=False) for _ in range(n)])
    labels = rng.integers(0, clusters, m)
    labels[:clusters] = np.arange(clusters)
    labels[clusters:][rng.random(m - clusters) < outliers] = -1
    wanted = rng.integers(-1, clusters, n)
    return neighbors, labels, wanted


def _overlap_by_hand(neighbors, labels):
    """Intersection over union as sets, row-normalised; zero rows where nothing overlaps."""
    rows = []
    for members in neighbors:
        row = []
        for c in range(labels.max() + 1):
            cluster = set(np.flatnonzero(labels == c))
            row.append(len(cluster & set(members)) / len(cluster | set(members)))
        rows.append(np.array(row) / sum(row) if sum(row) else np.array(row))
    return np.array(rows)


@pytest.mark.parametrize('seed', range(4))
def test_overlap_is_intersection_over_union(seed):
    neighbors, labels, _ = _case(seed)
    np.testing.assert_allclose(overlap_shares(neighbors, labels).toarray(), _overlap_by_hand(neighbors, labels))


def test_overlap_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1, -1])
    shares = overlap_shares(np.array([[0, 1, 4, 6]]), labels).toarray()
    # cluster 0: 2 of its 4 among 4 neighbours, union 6; cluster 1: 1 of its 2, union 5; the outlier takes a place
    raw = np.array([2 / 6, 1 / 5])
    np.testing.assert_allclose(shares, [raw / raw.sum()])


@pytest.mark.parametrize('seed', range(3))
def test_label_shares_are_counts_of_labelled_neighbors(seed):
    neighbors, labels, _ = _case(seed)
    shares = label_shares(neighbors, labels).toarray()
    for row, members in zip(shares, labels[neighbors], strict=True):
        known = members[members >= 0]
        expected = np.bincount(known, minlength=5) / max(1, len(known))
        np.testing.assert_allclose(row, expected)


@pytest.mark.parametrize('function', [label_shares, overlap_shares])
def test_only_outliers_among_the_neighbors_leave_an_empty_row(function):
    labels = np.array([-1, -1, 0, -1])
    shares = function(np.array([[0, 1], [1, 2], [3, 0]]), labels)
    assert np.isfinite(shares.data).all()
    np.testing.assert_array_equal(shares.toarray(), [[0], [1], [0]])
    nothing = function(np.array([[0, 1]]), np.array([-1, -1]))
    assert nothing.shape == (1, 0)
    assert function(np.empty((0, 3), np.int64), labels).shape == (0, 1)


@pytest.mark.parametrize('balance', [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize('outliers', [0.4, 0.95])
def test_targets_mix_label_and_neighbors(balance, outliers):
    neighbors, labels, wanted = _case(3, k=3, outliers=outliers)
    shares = overlap_shares(neighbors, labels)
    targets = soft_targets(wanted, shares, balance)
    assert targets.dtype == np.float32
    assert (targets.data > 0).all()
    dense, voices = targets.toarray(), shares.toarray()
    assert outliers < 0.9 or (voices.sum(axis=1) == 0).any()
    for row, voice, label in zip(dense, voices, wanted, strict=True):
        onehot = np.eye(5)[label] if label >= 0 else np.zeros(5)
        expected = balance * onehot + (1 - balance) * voice if voice.sum() and label >= 0 else onehot
        np.testing.assert_allclose(row, expected, atol=1e-6)
    np.testing.assert_allclose(dense.sum(axis=1), wanted >= 0, atol=1e-6)


@pytest.mark.parametrize('sharpness', [0.0, 10.0])
@pytest.mark.parametrize('outliers', [0.4, 0.95])
def test_weights_follow_the_share_of_the_own_label(sharpness, outliers):
    neighbors, labels, wanted = _case(5, k=3, outliers=outliers)
    shares = overlap_shares(neighbors, labels)
    weights = confidence_weights(wanted, shares, sharpness)
    assert weights.dtype == np.float32
    for weight, voice, label in zip(weights, shares.toarray(), wanted, strict=True):
        trusted = label >= 0 and voice.sum() > 0
        expected = np.exp(-sharpness * (1 - voice[label]) ** 2) if trusted else 0
        assert weight == pytest.approx(expected)


def test_weights_by_hand():
    labels = np.array([0, 0, 1, -1])
    shares = label_shares(np.array([[0, 1], [0, 2], [0, 1], [0, 2], [3, 3]]), labels)
    weights = confidence_weights(np.array([0, 1, 1, -1, 0]), shares, 10.0)
    # agreement 1, one half and 0; then an outlier, then a tracklet with an outlier for its only neighbour
    np.testing.assert_allclose(weights, [1, np.exp(-2.5), np.exp(-10), 0, 0], rtol=1e-6)


def test_inputs_stay_as_they_are():
    neighbors, labels, wanted = _case(1)
    shares = overlap_shares(neighbors, labels)
    copies = neighbors.copy(), labels.copy(), wanted.copy(), shares.toarray()
    soft_targets(wanted, shares), confidence_weights(wanted, shares), label_shares(neighbors, labels)
    for given, copy in zip((neighbors, labels, wanted, shares.toarray()), copies, strict=True):
        np.testing.assert_array_equal(given, copy)


@pytest.mark.parametrize(
    ('sizes', 'topk', 'ratio', 'expected'),
    [
        ((3, 3, 2), 30, 2.0, 5),  # 2 x 2.67
        ((3, 3, 2), 4, 2.0, 4),
        ((3, 3, 2), 30, None, 30),
        ((2,), 30, 0.1, 1),
        ((), 30, 2.0, 30),
    ],
)
def test_number_of_neighbors_follows_the_cluster_sizes(sizes, topk, ratio, expected):
    # numbers left out and outliers must not count
    labels = np.concatenate([np.repeat(2 * np.arange(len(sizes)), sizes), [-1] * 9]).astype(np.int64)
    assert neighbor_count(labels, topk, ratio) == expected
