"""CLIP-ReID's contrastive loss of images and texts against plain loops."""

import math

import pytest
import torch

from dscreid.models.losses import image_text_contrastive_loss


def one_direction(anchors, others, labels, temperature):
    terms = []
    for anchor, label in zip(anchors, labels, strict=True):
        logits = [float(anchor @ other) / temperature for other in others]
        total = math.log(sum(math.exp(logit) for logit in logits))
        own = [logit - total for logit, other in zip(logits, labels, strict=True) if other == label]
        terms.append(-sum(own) / len(own))
    return sum(terms) / len(terms)


@pytest.mark.parametrize('temperature', [1.0, 0.5])
@pytest.mark.parametrize('labels', [[0, 0, 1, 1], [5, 5, 5, 2, 9], [3]])
def test_both_directions(labels, temperature):
    generator = torch.Generator().manual_seed(len(labels))
    images, texts = torch.randn(2, len(labels), 4, generator=generator, dtype=torch.float64)
    expected = one_direction(images, texts, labels, temperature) + one_direction(texts, images, labels, temperature)
    loss = image_text_contrastive_loss(images, texts, torch.tensor(labels), temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_gradient():
    images, texts = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 2, 1])
    inputs = (images.requires_grad_(), texts.requires_grad_())
    assert torch.autograd.gradcheck(lambda *rows: image_text_contrastive_loss(*rows, labels), inputs)


def test_half_precision_is_computed_in_full():
    images, texts = 30 * torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 0, 1, 2])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = image_text_contrastive_loss(images, texts, labels)
    torch.testing.assert_close(loss, image_text_contrastive_loss(images, texts, labels))
