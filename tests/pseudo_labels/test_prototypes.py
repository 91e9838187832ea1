"""Prototypes of clusters and nearest centers against loops over tracklets."""

import math

import numpy as np
import pytest

from dscreid.pseudo_labels import calibrated_labels, cluster_prototypes, nearest_center_labels
from dscreid.utils import chunks


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def case(seed, count=40, clusters=4, width=5, noise=0.9):
    """Features of a few clusters, some of which are outliers (-1)."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % (clusters + 1) - 1)
    return rng.normal(size=(clusters + 1, width))[labels] + noise * rng.normal(size=(count, width)), labels


def prototypes_by_loops(features, labels, samples, threshold):
    rows, prototypes, reached = unit(features), [], []
    for cluster in range(labels.max() + 1):
        members = [i for i in range(len(labels)) if labels[i] == cluster]
        typical = {}
        for j in members:
            cosines = [float(rows[j] @ rows[i]) for i in members]
            typical[j] = -sum(np.sign(c - threshold) for c in cosines), -sum(cosines)
            reached += [c >= threshold for i, c in zip(members, cosines, strict=True) if i != j]
        number = samples if isinstance(samples, int) else math.ceil(samples * len(members))
        prototypes.append(rows[sorted(members, key=typical.get)[:number]].mean(axis=0))
    return np.stack(prototypes), np.mean(reached)


@pytest.mark.parametrize('samples', [1, 3, 20, 0.01, 0.5, 1.0])
@pytest.mark.parametrize('threshold', [-0.5, 0.3, 0.5])
@pytest.mark.parametrize('seed', range(2))
def test_prototypes_equal_those_of_loops(seed, threshold, samples, monkeypatch):
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 20)  # several blocks of rows
    features, labels = case(seed)
    found, share = cluster_prototypes(features, labels, samples, threshold)
    expected, expected_share = prototypes_by_loops(features, labels, samples, threshold)
    np.testing.assert_allclose(found.numpy(), expected)
    assert share == pytest.approx(expected_share)


def test_a_member_far_from_the_others_is_left_out():
    angles = np.deg2rad([0.0, 10, 20, 100])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found, _ = cluster_prototypes(features, np.zeros(4, np.int64), samples=3)
    np.testing.assert_allclose(found.numpy(), features[:3].mean(axis=0, keepdims=True))


def test_ties_go_to_the_member_closest_to_all():
    angles = np.deg2rad([0.0, 10, 20])  # all similar to all
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found, share = cluster_prototypes(features, np.zeros(3, np.int64), samples=1)
    np.testing.assert_allclose(found.numpy(), features[1:2])
    assert share == 1


def test_clusters_of_one_and_no_cluster():
    features = np.eye(3)
    found, share = cluster_prototypes(features, np.array([0, -1, 1]))
    np.testing.assert_allclose(found.numpy(), features[[0, 2]])
    assert math.isnan(share)
    none, share = cluster_prototypes(features, np.full(3, -1))
    assert none.shape == (0, 3)
    assert math.isnan(share)


@pytest.mark.parametrize('samples', [0, -1, 0.0, 1.5, math.nan, True, '20'])
def test_samples_are_a_number_or_a_share(samples):
    with pytest.raises(ValueError, match='samples must be an int of at least 1'):
        cluster_prototypes(np.eye(2), np.zeros(2, np.int64), samples)


@pytest.mark.parametrize('seed', range(3))
def test_labels_follow_the_most_similar_prototype_of_all(seed, monkeypatch):
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 20)
    features, labels = case(seed)
    prototypes = np.random.default_rng(seed).normal(size=(4, 5))
    expected = labels.copy()
    for i in np.flatnonzero(labels >= 0):
        expected[i] = np.argmax([unit(features)[i] @ p for p in unit(prototypes)])
    found = calibrated_labels(features, labels, prototypes)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)
    assert (found != labels).any()


def test_ties_of_prototypes_go_to_the_smaller_cluster():
    found = calibrated_labels(np.eye(2), np.array([2, 1]), np.array([[0.0, 1], [1, 0], [2, 0]]))
    np.testing.assert_array_equal(found, [1, 0])


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('ratio', [0.0, 0.5, 0.9, 1.0])
def test_nearest_centers_equal_those_of_loops(seed, ratio, monkeypatch):
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 20)
    features, labels = case(seed)
    centers = np.random.default_rng(seed + 9).normal(size=(6, 5))
    cosines = unit(features) @ unit(centers).T
    expected = []
    for i, label in enumerate(labels):
        nearest = int(np.argmax(cosines[i]))
        largest = max(cosines[j, nearest] for j in range(len(labels)) if labels[j] >= 0)
        expected.append(nearest if label >= 0 and cosines[i, nearest] >= ratio * largest else -1)
    found = nearest_center_labels(features, labels, centers, ratio)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)
    assert (found >= 0).any()


def test_an_outlier_does_not_raise_the_bar():
    features = np.array([[1.0, 0.0], [0.6, 0.8]])
    centers = np.array([[1.0, 0.0]])
    assert nearest_center_labels(features, np.array([0, 0]), centers, 0.9).tolist() == [0, -1]
    assert nearest_center_labels(features, np.array([-1, 0]), centers, 0.9).tolist() == [-1, 0]


def test_a_center_that_everyone_avoids_labels_none():
    """Half of a negative maximum is larger than the maximum."""
    assert nearest_center_labels(-np.eye(2), np.array([0, 0]), np.array([[1.0, 1.0]])).tolist() == [-1, -1]


def test_nothing_and_nan():
    assert nearest_center_labels(np.empty((0, 2)), np.empty(0, np.int64), np.eye(2)).shape == (0,)
    assert nearest_center_labels(np.eye(2), np.array([-1, -1]), np.eye(2)).tolist() == [-1, -1]
    with pytest.raises(ValueError, match='NaN'):
        cluster_prototypes(np.full((2, 2), np.nan), np.zeros(2, np.int64))
