"""Whitening against scipy's matrix square root, and what it undoes."""

import numpy as np
import pytest
import torch
from scipy.linalg import inv, sqrtm

from dscreid.pseudo_labels import unify_labels, whitened


def rows_of_length_one(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parametrize(('count', 'size', 'shrinkage'), [(50, 4, 0.1), (5, 12, 0.1), (200, 16, 1.0), (30, 8, 1e-3)])
def test_whitening_is_that_of_the_inverse_root_of_the_covariance(count, size, shrinkage):
    rng = np.random.default_rng(count)
    features = rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) + 3
    rows = rows_of_length_one(features)
    rows = rows - rows.mean(axis=0)
    covariance = np.cov(rows.T, bias=True)
    covariance += shrinkage * np.trace(covariance) / size * np.eye(size)
    expected = rows_of_length_one(rows @ np.real(inv(sqrtm(covariance))))
    assert whitened(features, shrinkage).numpy() == pytest.approx(expected, abs=1e-4)


def test_what_a_sensor_adds_to_all_tracklets_is_undone():
    """Persons are near in 15 axes; one sensor moves them all along the last one."""
    rng = np.random.default_rng(0)
    people = rng.normal(size=(40, 16))
    visible, infrared = people.copy(), people + 0.2 * rng.normal(size=people.shape)
    infrared[:, -1] += 60 * rng.random(40)
    labels = np.arange(40)
    plain = unify_labels(visible, visible, infrared, infrared, labels, topk=1)
    without = [whitened(one) for one in (visible, visible, infrared, infrared)]
    assert (unify_labels(*without, labels, topk=1) == labels).mean() > (plain == labels).mean() + 0.2


def test_edge_cases():
    assert whitened(torch.empty(0, 4)).shape == (0, 4)
    assert torch.equal(whitened(torch.ones(1, 4)), torch.zeros(1, 4))
    assert torch.isfinite(whitened(torch.ones(5, 3))).all()
    with pytest.raises(ValueError, match='shrinkage must be positive, got 0'):
        whitened(torch.eye(3), 0)
