"""Triplet losses against plain loops over anchors."""

import math

import pytest
import torch

from dscreid.models.losses import (
    batch_hard_triplet,
    center_triplet,
    squared_weighted_triplet,
    weighted_regularized_triplet,
)

LABELS = [0, 0, 1, 1, 1, 2, 3, 3, 0, 2]
LOSSES = (weighted_regularized_triplet, squared_weighted_triplet, batch_hard_triplet)
every_loss = pytest.mark.parametrize('loss', LOSSES, ids=lambda loss: loss.__name__)


def random_rows(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def distances_of(anchor, features, labels):
    """Distances of an anchor to its positives (with itself) and its negatives."""
    found = [math.sqrt(max(float((features[anchor] - other).square().sum()), 1e-12)) for other in features]
    same = [distance for distance, label in zip(found, labels, strict=True) if label == labels[anchor]]
    return same, [distance for distance, label in zip(found, labels, strict=True) if label != labels[anchor]]


def weighted_mean(values, sign):
    weights = [math.exp(sign * value) for value in values]
    return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)


def softplus(value):
    return max(value, 0) + math.log1p(math.exp(-abs(value)))


def oracle(features, labels, combine):
    terms = [combine(*distances_of(anchor, features, labels)) for anchor in range(len(labels))]
    return sum(terms) / len(terms)


def weighted(positives, negatives):
    return softplus(weighted_mean(positives, 1) - weighted_mean(negatives, -1))


def squared(positives, negatives):
    difference = weighted_mean(positives, 1) - weighted_mean(negatives, -1)
    return softplus(math.copysign(min(difference**2, 88), difference))


def hardest(positives, negatives):
    return max(0, 0.3 + max(positives) - min(negatives))


@pytest.mark.parametrize('scale', [0.3, 1.0, 20.0])
@pytest.mark.parametrize(('loss', 'combine'), list(zip(LOSSES, (weighted, squared, hardest), strict=True)))
def test_equals_plain_loops(loss, combine, scale):
    features = scale * random_rows(0, len(LABELS), 4)
    expected = oracle(features, LABELS, combine)
    assert float(loss(features, torch.tensor(LABELS))) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize('near', ['own', 'other'])
def test_squares_keep_their_sign_and_are_bounded(near):
    features = torch.tensor([[0.0], [1.0], [30.0], [31.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1] if near == 'own' else [0, 1, 0, 1])
    loss = float(squared_weighted_triplet(features, labels))
    assert loss == pytest.approx(0 if near == 'own' else 88, abs=1e-6)


@every_loss
@pytest.mark.parametrize('count', [0, 1, 4])
def test_one_identity_gives_a_differentiable_zero(loss, count):
    features = random_rows(0, count, 3).requires_grad_()
    value = loss(features, torch.zeros(count, dtype=torch.int64))
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(features.grad).all()


@every_loss
def test_equal_features_keep_a_finite_gradient(loss):
    features = torch.ones(6, 3, requires_grad=True)
    loss(features, torch.tensor([0, 0, 1, 1, 2, 2])).backward()
    assert torch.isfinite(features.grad).all()


@every_loss
def test_gradient_equals_finite_differences(loss):
    features, labels = random_rows(0, 6, 3).requires_grad_(), torch.tensor([0, 0, 1, 1, 2, 2])
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), features)


def test_far_negatives_keep_their_weight():
    # all distances near 60: exp(-60) is far below the 1e-6 in the published denominator
    features = 40 * torch.eye(4, dtype=torch.float64)
    expected = oracle(features, [0, 1, 2, 3], weighted)
    assert float(weighted_regularized_triplet(features, torch.arange(4))) == pytest.approx(expected, rel=1e-6)


class TestCenterTriplet:
    def test_equals_plain_loops(self):
        first, second = random_rows(0, 10, 4), random_rows(1, 10, 4)
        names = sorted(set(LABELS))
        centers = [{name: part[torch.tensor(LABELS) == name].mean(0) for name in names} for part in (first, second)]
        terms = []
        for name in names:
            gaps = {other: float((centers[0][name] - centers[1][other]).norm()) for other in names}
            nearest = min(gap for other, gap in gaps.items() if other != name)
            terms.append(max(0, 0.2 + gaps[name] - nearest))
        loss = center_triplet(first, second, torch.tensor(LABELS))
        assert float(loss) == pytest.approx(sum(terms) / len(terms), rel=1e-6)
        assert loss > 0

    @pytest.mark.parametrize('count', [0, 3])
    def test_one_identity_gives_a_differentiable_zero(self, count):
        first = random_rows(0, count, 3).requires_grad_()
        loss = center_triplet(first, random_rows(1, count, 3), torch.zeros(count, dtype=torch.int64))
        loss.backward()
        assert loss.item() == 0
        assert not first.grad.any()

    def test_gradient_equals_finite_differences(self):
        parts, labels = (random_rows(0, 6, 3), random_rows(1, 6, 3)), torch.tensor([0, 0, 1, 1, 2, 2])
        inputs = tuple(part.requires_grad_() for part in parts)
        assert torch.autograd.gradcheck(lambda a, b: center_triplet(a, b, labels), inputs)
