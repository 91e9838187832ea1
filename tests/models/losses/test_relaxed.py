"""The relaxed contrastive loss against a double loop, and its limits."""

import math

import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.losses import RelaxedContrastiveLoss, relaxed_contrastive_loss
from dscreid.registry import MODELS


def rows(seed, count, width=5):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loops(features, scale, weights=None):
    """The loss pair by pair, and the weights that it used."""
    count, total, used = len(features), 0.0, {}
    for i in range(count):
        distances = [float((features[i] - features[j]).square().sum().sqrt()) for j in range(count)]
        mean = sum(distances) / count
        for j in range(count):
            if i == j:
                continue
            w = math.exp(-((distances[j] / scale) ** 2)) if weights is None else weights[i, j]
            used[i, j] = w
            s = distances[j] / mean
            total += w * s**2 + (1 - w) * max(0.0, 1 - s) ** 2
    return total / (count * (count - 1)), used


@pytest.mark.parametrize('scale', [0.5, 1.0, 3.0, 100.0])
@pytest.mark.parametrize('count', [2, 3, 9])
def test_it_equals_the_double_loop(count, scale):
    features = rows(count, count)
    assert relaxed_contrastive_loss(features, scale).item() == pytest.approx(by_loops(features, scale)[0])


def test_the_weights_have_no_gradient():
    features = rows(0, 5).requires_grad_()
    (found,) = torch.autograd.grad(relaxed_contrastive_loss(features, 2.0), features)
    weights, step = by_loops(features.detach(), 2.0)[1], 1e-6
    expected = torch.zeros_like(features)
    for i in range(5):
        for k in range(5):
            change = torch.zeros_like(expected)
            change[i, k] = step
            ends = [by_loops(features.detach() + sign * change, 2.0, weights)[0] for sign in (1, -1)]
            expected[i, k] = (ends[0] - ends[1]) / (2 * step)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_limits_of_the_scale():
    """All pairs attract at a large scale; at a small one, pairs nearer than the mean repel."""
    features = rows(1, 6)
    distances = torch.cdist(features, features)
    relative = distances / distances.mean(1, keepdim=True)
    pairs = ~torch.eye(6, dtype=torch.bool)
    attract, repel = relative[pairs].square().mean(), (1 - relative[pairs]).clamp(min=0).square().mean()
    torch.testing.assert_close(relaxed_contrastive_loss(features, 1e6), attract)
    torch.testing.assert_close(relaxed_contrastive_loss(features, 1e-3), repel)


@pytest.mark.parametrize('features', [rows(0, 0), rows(0, 1), rows(0, 1).repeat(4, 1), rows(0, 2)[[0, 0, 1]]])
def test_few_and_equal_rows_keep_value_and_gradient_finite(features):
    features = features.clone().requires_grad_()
    loss = relaxed_contrastive_loss(features)
    loss.backward()
    assert loss.isfinite()
    assert features.grad.isfinite().all()
    assert loss == 0 or len(features) == 3


def test_the_module_weighs_both_halves_and_scales_by_the_dimension():
    static, dynamic = rows(0, 4, 8), rows(1, 4, 8)
    module = MODELS.build({'type': 'RelaxedContrastiveLoss', 'weight': 2.0})
    assert module.scale is None
    published = [
        torch.cat([half, half.new_zeros(4, 2040)], dim=1) * 16 for half in (static, dynamic)
    ]  # 16^2 * 8 = 2048
    expected = 2 * sum(relaxed_contrastive_loss(half) for half in published)
    torch.testing.assert_close(module(static, dynamic), expected)
    torch.testing.assert_close(module(*published), expected)
    fixed = RelaxedContrastiveLoss(scale=3.0)(static, dynamic)
    torch.testing.assert_close(fixed, 10 * (relaxed_contrastive_loss(static, 3) + relaxed_contrastive_loss(dynamic, 3)))


@pytest.mark.parametrize('wrong', [{'weight': -1}, {'scale': 0}, {'scale': -1.0}, {'scale': math.inf}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match='needs weight >= 0 and scale > 0 or None'):
        RelaxedContrastiveLoss(**wrong)


def test_pairs_after_a_neck_only_repel_at_the_published_scale():
    """Features of unit variance are about sqrt(2 D) apart, where the weight is 0 in double precision."""
    features = rows(2, 6, 512)
    published = relaxed_contrastive_loss(features, math.sqrt(512 / 2048))
    assert published == relaxed_contrastive_loss(features, 1e-3)
    assert relaxed_contrastive_loss(features, math.sqrt(2 * 512)) > 10 * published
