"""The supervised contrastive loss against plain loops."""

import math

import pytest
import torch

from dscreid.models.losses import supervised_contrastive_loss


def oracle(features, labels, temperature):
    """Equation (2) of Khosla et al.: mean over anchors of the mean over positives."""
    rows = [row / row.norm() for row in features]
    terms = []
    for i, anchor in enumerate(rows):
        others = [j for j in range(len(rows)) if j != i]
        positives = [j for j in others if labels[j] == labels[i]]
        if positives:
            total = sum(math.exp(float(anchor @ rows[j]) / temperature) for j in others)
            logs = [float(anchor @ rows[j]) / temperature - math.log(total) for j in positives]
            terms.append(-sum(logs) / len(logs))
    return sum(terms) / len(terms)


@pytest.mark.parametrize('temperature', [0.1, 1.0])
@pytest.mark.parametrize('labels', [[0, 0, 1, 1], [5, 5, 5, 2, 2, 9], [1, 1], [3, 3, 3, 3]])
def test_plain_loops(labels, temperature):
    features = torch.randn(len(labels), 6, generator=torch.Generator().manual_seed(len(labels)))
    loss = supervised_contrastive_loss(features, torch.tensor(labels), temperature)
    assert loss.item() == pytest.approx(oracle(features, labels, temperature), rel=1e-5, abs=1e-6)


def test_length_and_order_do_not_matter():
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(8, 4, generator=generator), torch.arange(8) % 3
    before = features.clone()
    loss = supervised_contrastive_loss(features, labels)
    order = torch.randperm(8, generator=generator)
    scaled = features[order] * torch.rand(8, 1, generator=generator).add(0.5)
    assert torch.allclose(supervised_contrastive_loss(scaled, labels[order]), loss, atol=1e-5)
    assert torch.equal(features, before)


@pytest.mark.parametrize('labels', [[0, 1, 2], [0]])
def test_a_batch_without_positives_has_zero_loss_and_gradient(labels):
    features = torch.randn(len(labels), 4, requires_grad=True)
    loss = supervised_contrastive_loss(features, torch.tensor(labels))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(features.grad, torch.zeros_like(features))


def test_gradients_are_finite_and_pull_positives_together():
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    losses = []
    for _ in range(50):
        loss = supervised_contrastive_loss(features, labels)
        (gradient,) = torch.autograd.grad(loss, features)
        assert torch.isfinite(gradient).all()
        losses.append(loss.item())
        features = (features - 0.5 * gradient).detach().requires_grad_()
    assert losses[-1] < 0.1 * losses[0]


def test_half_precision_is_computed_in_float32():
    features = torch.randn(4, 4, dtype=torch.bfloat16)
    loss = supervised_contrastive_loss(features, torch.tensor([0, 0, 1, 1]))
    assert loss.dtype == torch.float32
