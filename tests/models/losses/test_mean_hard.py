"""RPNR's memory loss and its module, against loops over samples."""

import math

import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.losses import (
    ClusterContrastiveLoss,
    CrossClusterLoss,
    MeanHardContrastiveLoss,
    mean_hard_contrastive_loss,
)
from dscreid.models.memories import MeanHardMemory
from dscreid.registry import MODELS
from dscreid.structures import TrackletFeatures


def rows(seed, count, width=6):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cross_entropy(features, centers, labels, temperature):
    """Mean over the labeled samples, one sample and one center at a time."""
    terms = []
    for feature, label in zip(features.tolist(), labels.tolist(), strict=True):
        if label < 0:
            continue
        norm = math.sqrt(sum(x * x for x in feature))
        logits = [sum(x * m for x, m in zip(feature, c, strict=True)) / norm / temperature for c in centers.tolist()]
        terms.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[label])
    return sum(terms) / len(terms)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('margin', [0.0, 0.2, 1.5, 50.0])
def test_half_the_hard_loss_and_half_the_mean_loss_above_the_margin(seed, margin):
    features, mean, hard = rows(seed, 7), rows(seed + 10, 4), rows(seed + 20, 4)
    labels = torch.tensor([0, 3, -1, 2, 2, 1, -1])
    found = mean_hard_contrastive_loss(features, mean, hard, labels, 0.3, margin)
    easy = max(0.0, cross_entropy(features, mean, labels, 0.3) - margin)
    assert found.item() == pytest.approx((cross_entropy(features, hard, labels, 0.3) + easy) / 2)


def test_below_the_margin_the_mean_centers_give_no_gradient():
    features, hard, labels = rows(0, 3).requires_grad_(), rows(1, 2), torch.tensor([0, 1, 1])
    (with_margin,) = torch.autograd.grad(
        mean_hard_contrastive_loss(features, rows(2, 2), hard, labels, 0.3, 99), features
    )
    (hard_only,) = torch.autograd.grad(ClusterContrastiveLoss(0.3, 0.5)(features, hard, labels), features)
    torch.testing.assert_close(with_margin, hard_only)


def test_no_labeled_sample_gives_a_differentiable_zero():
    features = rows(0, 2).requires_grad_()
    loss = mean_hard_contrastive_loss(features, rows(1, 3), rows(2, 3), torch.tensor([-1, -1]))
    loss.backward()
    assert loss == 0
    assert not features.grad.any()


def test_the_module_is_the_weighted_function():
    module = MODELS.build({'type': 'MeanHardContrastiveLoss', 'temperature': 0.1, 'margin': 0.4, 'weight': 3.0})
    features, memory, labels = rows(0, 4), torch.stack([rows(1, 3), rows(2, 3)]), torch.tensor([0, 1, 2, -1])
    expected = 3 * mean_hard_contrastive_loss(features, memory[0], memory[1], labels, 0.1, 0.4)
    assert torch.equal(module(features, memory, labels), expected)


def test_the_cross_loss_takes_it_for_each_half():
    memory = MeanHardMemory()
    memory.reset(TrackletFeatures(rows(0, 4), rows(1, 4)), torch.tensor([0, 1, 1, 0]), 2)
    memory.update(rows(2, 4).float(), rows(3, 4).float(), torch.tensor([0, 1, 1, 0]))
    static, dynamic, labels = rows(4, 3).float(), rows(5, 3).float(), torch.tensor([1, 0, -1])
    module = CrossClusterLoss(weight=0.5, half_loss=dict(type='MeanHardContrastiveLoss', margin=0.3))
    halves = (static, memory.static), (dynamic, memory.dynamic)
    expected = sum(mean_hard_contrastive_loss(part, *centers, labels, 0.05, 0.3) for part, centers in halves)
    torch.testing.assert_close(module(static, dynamic, memory, labels), 0.5 * expected)


@pytest.mark.parametrize('wrong', [{'temperature': 0}, {'weight': -1}, {'margin': -0.1}, {'margin': math.nan}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match='MeanHardContrastiveLoss: '):
        MeanHardContrastiveLoss(**wrong)


def test_memories_and_labels_of_another_kind_are_refused():
    features, labels = rows(0, 2), torch.tensor([0, 1])
    one, two = rows(1, 2), torch.stack([rows(1, 2), rows(2, 2)])
    with pytest.raises(ConfigError, match=r"memories=dict\(cluster=dict\(type='MeanHardMemory'\)\)"):
        MeanHardContrastiveLoss()(features, one, labels)
    with pytest.raises(ConfigError, match='use ClusterMemory with it'):
        ClusterContrastiveLoss()(features, two, labels)
    for extra in (dict(soft=(one, one)), dict(groups=labels)):
        with pytest.raises(ConfigError, match='cannot use the soft targets or groups'):
            MeanHardContrastiveLoss()(features, two, labels, **extra)
    with pytest.raises(ConfigError, match='with unpaired_negatives=False'):
        MeanHardContrastiveLoss()(features, two, labels, unpaired=labels)
