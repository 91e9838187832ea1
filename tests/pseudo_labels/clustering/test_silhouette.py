"""Silhouettes that count outliers, and sizes of clusters; the plain silhouette is tested with the criteria."""

import math

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from dscreid.pseudo_labels.clustering.silhouette import mean_cluster_size, silhouette_of_all
from dscreid.utils import chunks


def test_outliers_count_as_zero_and_tracklets_are_evenly_spaced():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(50, 6)), rng.integers(-1, 4, 50)
    kept, each = labels >= 0, np.zeros(50)
    each[kept] = silhouette_samples(features[kept], labels[kept], metric='cosine')
    assert silhouette_of_all(features, labels) == pytest.approx(each.mean(), abs=1e-6)
    assert silhouette_of_all(features, labels, most=50) == silhouette_of_all(features, labels)
    some = np.arange(20) * 50 // 20
    assert silhouette_of_all(features, labels, most=20) == pytest.approx(each[some].mean(), abs=1e-6)


@pytest.mark.parametrize('chunk', [1, 40])
def test_chunks_change_nothing(chunk, monkeypatch):
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(50, 6)), rng.integers(-1, 4, 50)
    whole = silhouette_of_all(features, labels)
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', chunk)
    assert silhouette_of_all(features, labels) == pytest.approx(whole, abs=1e-12)


def test_fewer_than_two_clusters():
    assert silhouette_of_all(np.eye(3), np.array([-1, -1, -1])) == 0
    assert silhouette_of_all(np.eye(3), np.array([0, 0, -1])) == 0
    assert silhouette_of_all(np.empty((0, 3)), np.empty(0, np.int64)) == 0


@pytest.mark.parametrize(
    ('labels', 'size'), [((), math.nan), ((-1, -1), 1), ((3, 3), 2), ((0, 0, 0, 1, -1), (9 + 1 + 1) / 5)]
)
def test_mean_cluster_size_is_over_tracklets(labels, size):
    assert mean_cluster_size(np.array(labels, np.int64)) == pytest.approx(size, nan_ok=True)
