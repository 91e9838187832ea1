"""Affinities to proxies against a softmax camera by camera."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from dscreid.pseudo_labels import proxy_affinities


def rows(seed, num, dim=6):
    return np.random.default_rng(seed).standard_normal((num, dim))


def naive(features, proxies, groups, scale):
    """One row and one camera after another."""
    result = np.zeros((len(features), len(proxies)))
    for i, feature in enumerate(features):
        cosines = proxies @ feature / np.linalg.norm(feature) / np.linalg.norm(proxies, axis=1)
        for group in set(groups):
            chosen = [c for c, g in enumerate(groups) if g == group]
            result[i, chosen] = softmax(scale * cosines[chosen])
    return result


@pytest.mark.parametrize('groups', [[0, 0, 0, 2, 2, 7, 7, 7, 7], [5, 1, 5, 1, 9, 9, 1, 5, 1], [3] * 9])
def test_each_camera_has_a_softmax_of_its_own(groups):
    features, proxies = rows(0, 20), rows(1, 9)
    affinities = proxy_affinities(features, proxies, np.array(groups), scale=20)
    np.testing.assert_allclose(affinities.numpy(), naive(features, proxies, groups, 20), rtol=1e-6)


def test_slices_are_as_wide_as_their_cameras():
    # cumulative sizes taken for widths, the release's slip, would mix the proxies of cameras 1 and 2
    groups = np.array([0, 0, 1, 1, 1, 2])
    affinities = proxy_affinities(rows(0, 8), rows(1, 6), groups)
    for camera in range(3):
        np.testing.assert_allclose(affinities[:, groups == camera].sum(dim=1), 1, rtol=1e-6)
    np.testing.assert_allclose(affinities[:, 5], 1)  # the only proxy of its camera


def test_without_groups_all_compete():
    features, proxies = rows(0, 5), rows(1, 4)
    expected = naive(features, proxies, [0] * 4, 10)
    np.testing.assert_allclose(proxy_affinities(features, proxies, scale=10).numpy(), expected, rtol=1e-6)


def test_large_scales_do_not_overflow():
    affinities = proxy_affinities(torch.from_numpy(rows(0, 5)).float(), torch.from_numpy(rows(1, 4)).float(), scale=1e4)
    assert torch.isfinite(affinities).all()


def test_no_tracklet():
    assert proxy_affinities(np.empty((0, 6)), rows(1, 4)).shape == (0, 4)


def test_proxies_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match='proxies hold NaN'):
        proxy_affinities(rows(0, 5), rows(1, 4) * np.nan)
