"""Clustering settings chosen from the density of the features: kinks of mutuality, duplicates, the choice."""

import numpy as np
import pytest
import torch

from dscreid.neighbors.jaccard import jaccard_of_neighbors, nearest_tracklets
from dscreid.neighbors.knn import normalized_rows
from dscreid.pseudo_labels import (
    ClusteringSettings,
    ari_of_all,
    choose_settings,
    dbscan,
    jaccard_distance,
    settings_for,
)
from dscreid.pseudo_labels.clustering.dbscan import cluster_neighbors
from dscreid.pseudo_labels.clustering.identity_sizes import (
    gaussian_like,
    mutual_neighbor_rates,
    neighborhood_scales,
    size_of_whole,
)


def _people(sizes, noise=0.9, d=24, seed=0):
    """Float32 features of people with so many tracklets each, in random order, and their ids."""
    rng = np.random.default_rng(seed)
    pids = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return (rng.normal(size=(len(sizes), d))[pids] + noise * rng.normal(size=(len(pids), d))).astype(np.float32), pids


def _seen_by_cameras(people, cameras, each, gap=0.7, noise=0.12, d=24, seed=0):
    """People whose tracklets by one camera are near-duplicates, and the number of person and camera."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(people * cameras), each)
    centres = rng.normal(size=(people, 1, d)) + gap * rng.normal(size=(people, cameras, d))
    points = centres.reshape(-1, d)[groups] + noise * rng.normal(size=(len(groups), d))
    return points.astype(np.float32), groups // cameras, groups


def _ari(features, pids, settings):
    distance = jaccard_distance(features, settings.k1, settings.k2, settings.eps)
    return ari_of_all(dbscan(distance, settings.eps, settings.min_samples), pids)


@pytest.mark.parametrize(
    ('k1', 'expected'),
    [
        (1, (1, 1, 0.55, 2)),
        (3, (3, 2, 0.55, 2)),
        (12, (12, 3, 0.55, 3)),
        (24, (24, 4, 0.55, 4)),
        (56, (56, 4, 0.55, 4)),
    ],
)
def test_settings_follow_from_the_size_of_an_identity(k1, expected):
    assert settings_for(k1) == ClusteringSettings(*expected)


def test_given_settings_stay():
    assert settings_for(12, k2=6, eps=0.6, min_samples=4) == ClusteringSettings(12, 6, 0.6, 4)
    assert settings_for(12, eps=0.6) == ClusteringSettings(12, 3, 0.6, 3)


def test_mutual_rates_equal_a_plain_count():
    features, _ = _people([5] * 12, seed=3)
    rank = nearest_tracklets(features, 20)[1]
    rates = mutual_neighbor_rates(rank)
    assert rates.shape == (60, 19)
    for k in (2, 3, 7, 20):
        near = [set(row[:k]) for row in rank]
        expected = [sum(j != i and i in near[j] for j in near[i]) / (k - 1) for i in range(len(rank))]
        np.testing.assert_allclose(rates[:, k - 2], expected)


def test_mutual_rates_of_few_tracklets():
    assert mutual_neighbor_rates(np.empty((0, 0), np.int32)).shape == (0, 0)
    assert mutual_neighbor_rates(np.zeros((1, 1), np.int32)).shape == (1, 0)
    np.testing.assert_array_equal(mutual_neighbor_rates(np.array([[0, 1], [1, 0]])), [[1], [1]])
    assert neighborhood_scales(np.ones((1, 5))) == ()
    assert neighborhood_scales(np.ones((5, 0))) == ()


@pytest.mark.parametrize('size', [3, 6, 12, 24])
def test_the_kink_is_at_the_size_of_the_identities(size):
    features, _ = _people([size] * (480 // size))
    scales = neighborhood_scales(mutual_neighbor_rates(nearest_tracklets(features, 101)[1]))
    assert min(abs(scale - size) for scale in scales) <= size // 12


def test_both_levels_of_duplicates_have_a_kink():
    features, *_ = _seen_by_cameras(people=60, cameras=4, each=3)
    scales = neighborhood_scales(mutual_neighbor_rates(nearest_tracklets(features, 101)[1]))
    assert {3, 12} <= set(scales)


def test_no_kink_where_there_are_no_identities():
    rates = np.tile(np.linspace(0.3, 0.9, 60), (200, 1))
    assert neighborhood_scales(rates) == ()
    noisy = np.tile([0.5] * 30, (100, 1))
    noisy[::2, 10] = 0.9  # a peak that half of the tracklets have, ...
    assert neighborhood_scales(noisy) == (12,)
    noisy[::2, 10], noisy[0, 10] = 0.5, 0.9  # ... and one that a single one has
    assert neighborhood_scales(noisy) == ()


@pytest.mark.slow
@pytest.mark.parametrize('size', [2, 3, 6, 12, 24])
def test_even_identities(size):
    features, pids = _people([size] * (480 // size), noise=0.5)
    choice = choose_settings(features)
    assert 0.8 * size <= choice.settings.k1 <= 1.7 * size
    assert _ari(features, pids, choice.settings) > 0.95
    assert choice.settings == settings_for(choice.settings.k1)
    assert not choice.silent


def test_uneven_identities():
    sizes = np.random.default_rng(5).integers(2, 16, size=60)
    features, pids = _people(sizes, noise=0.7, seed=5)
    assert _ari(features, pids, choose_settings(features).settings) > 0.9


def test_near_duplicates_are_not_taken_for_identities():
    features, people, _ = _seen_by_cameras(people=60, cameras=4, each=3)
    choice = choose_settings(features)
    assert max(choice.silhouettes, key=choice.silhouettes.get) <= 4, 'the silhouette alone takes duplicates for people'
    assert 12 <= choice.settings.k1 <= 19
    assert _ari(features, people, choice.settings) > 0.9


def test_uneven_duplicates_without_a_kink_are_found_by_their_means(monkeypatch):
    features, *_ = _seen_by_cameras(people=60, cameras=4, each=3)
    monkeypatch.setattr('dscreid.pseudo_labels.clustering.density.neighborhood_scales', lambda rates: ())
    assert choose_settings(features).settings.k1 >= 10
    monkeypatch.setattr('dscreid.pseudo_labels.clustering.density.size_of_whole', lambda features, labels: None)
    assert choose_settings(features).settings.k1 <= 4


def test_whole_clusters_are_told_from_parts():
    features, people, cameras = _seen_by_cameras(people=60, cameras=4, each=3)
    features = normalized_rows(torch.from_numpy(features)).numpy()
    assert 12 <= size_of_whole(features, cameras) <= 16
    assert size_of_whole(features, people) is None
    outliers = np.where(np.arange(len(cameras)) % 3 == 0, -1, cameras)
    assert size_of_whole(features, outliers) is not None
    assert size_of_whole(features, np.zeros(len(features), np.int64)) is None
    assert size_of_whole(features[:0], np.empty(0, np.int64)) is None


def test_surrogate_has_mean_and_covariance():
    points = np.random.default_rng(0).normal(size=(4000, 3)).astype(np.float32) @ np.diag([1, 2, 3]) + 5
    drawn = gaussian_like(points.astype(np.float32))
    np.testing.assert_allclose(drawn.mean(axis=0), points.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(points.T), atol=0.6)
    np.testing.assert_array_equal(drawn, gaussian_like(points.astype(np.float32)))
    assert abs(drawn - gaussian_like(points.astype(np.float32), seed=1)).max() > 1


def test_a_surrogate_of_few_points_has_no_other_directions_than_they():
    points = np.random.default_rng(1).normal(size=(12, 40)).astype(np.float32)
    drawn = np.concatenate([gaussian_like(points, seed) for seed in range(400)])
    centred = points - points.mean(axis=0)
    basis = np.linalg.svd(centred, full_matrices=False)[2][:11]
    away = (drawn - points.mean(axis=0)) - (drawn - points.mean(axis=0)) @ basis.T @ basis
    assert abs(away).max() < 1e-4
    np.testing.assert_allclose(np.cov(drawn.T, bias=True), np.cov(points.T, bias=True), atol=0.15)


def test_clusters_that_are_none_are_not_asked_whether_they_are_whole(monkeypatch):
    asked = []
    monkeypatch.setattr(
        'dscreid.pseudo_labels.clustering.density.size_of_whole', lambda features, labels: asked.append(1)
    )
    assert choose_settings(np.eye(40, dtype=np.float32)).silent
    assert not asked
    choose_settings(_people([6] * 50)[0])
    assert asked


def test_fixed_settings_take_part_in_the_choice():
    features, pids = _people([6] * 50, noise=0.7)
    choice = choose_settings(features, k2=1, eps=0.4, min_samples=3)
    assert choice.settings == ClusteringSettings(choice.settings.k1, 1, 0.4, 3)
    assert 5 <= choice.settings.k1 <= 9
    assert _ari(features, pids, choice.settings) > 0.8
    given = choose_settings(features, k1=10, eps=0.4)
    assert given.settings == settings_for(10, eps=0.4)
    assert given.silhouettes == {}


def test_the_choice_is_repeatable_and_does_not_mind_the_order():
    features, _ = _people([6] * 50)
    choice = choose_settings(torch.from_numpy(features))
    assert choice == choose_settings(features)
    shuffled = features[np.random.default_rng(0).permutation(len(features))]
    assert choose_settings(shuffled).settings == choice.settings


@pytest.mark.parametrize('num', [0, 1, 2, 5])
def test_few_tracklets_are_no_reason_to_fail(num):
    choice = choose_settings(np.eye(8, dtype=np.float32)[:num])
    assert choice.silent
    assert choice.settings == settings_for(2)


def test_equal_and_empty_features():
    for same in (np.ones((40, 4), np.float32), np.zeros((40, 4), np.float32)):
        assert choose_settings(same).silent
    with pytest.raises(ValueError, match='NaN or infinite'):
        choose_settings(np.full((4, 4), np.nan))


@pytest.mark.parametrize(('k1', 'k2'), [(30, 6), (7, 3), (2, 1)])
def test_known_neighbors_give_the_same_distance(k1, k2):
    features, _ = _people([6] * 20)
    expected = jaccard_distance(features, k1, k2, 0.6)
    normalized, rank = nearest_tracklets(features, 60)
    graph = jaccard_of_neighbors(normalized, rank, k1, k2, 0.6)
    np.testing.assert_array_equal(graph.indptr, expected.indptr)
    np.testing.assert_array_equal(graph.indices, expected.indices)
    np.testing.assert_array_equal(graph.data, expected.data)
    labels = cluster_neighbors(normalized, rank, ClusteringSettings(k1, k2, 0.6, 2))
    np.testing.assert_array_equal(labels, dbscan(expected, 0.6, 2))


def test_too_few_known_neighbors_are_refused():
    features, rank = nearest_tracklets(np.eye(9, dtype=np.float32), 4)
    with pytest.raises(ValueError, match='k1=5 needs as many neighbors'):
        jaccard_of_neighbors(features, rank, 5, 2, 0.6)


def test_settings_without_a_cluster_are_not_chosen():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        one_person = (rng.normal(size=24) + 0.4 * rng.normal(size=(45, 24))).astype(np.float32)
        settings = choose_settings(one_person, min_samples=6).settings
        distance = jaccard_distance(one_person, settings.k1, settings.k2, settings.eps)
        assert (dbscan(distance, settings.eps, 6) >= 0).any()
