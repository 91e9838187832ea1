"""DART's losses and its mixture model against plain loops over anchors and cases."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dscreid.errors import ConfigError
from dscreid.models.losses import LabeledBatch, clean_probabilities, robust_triplet
from dscreid.models.losses.alignment import draw_partners
from dscreid.registry import MODELS


def draw(seed, num=14, identities=4):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(num, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(identities, (num,), generator=generator)
    predictions = torch.randint(identities, (num,), generator=generator)
    confident = torch.rand(num, generator=generator) < 0.6
    return features, labels, predictions, confident


def expected_loss(features, labels, predictions, confident, seed, margin):
    """The four cases one by one; the random positives are those that the loss draws."""
    num, generator = len(labels), torch.Generator().manual_seed(seed)
    same = (labels[:, None] == labels) & ~torch.eye(num, dtype=torch.bool)
    first, again = draw_partners(same, generator).tolist(), draw_partners(same & confident, generator).tolist()

    def d(a, b):
        return math.sqrt(max(float((features[a] - features[b]).square().sum()), 1e-12))

    terms, cases = [], set()
    for i in range(num):
        negatives = sorted((k for k in range(num) if labels[k] != labels[i]), key=lambda k: d(i, k))
        if not confident[i] or not same[i].any() or not negatives:
            continue
        p, n = first[i], negatives[0]
        if not confident[n] and predictions[n] == labels[i]:
            if confident[p]:
                later = negatives[1:] or [n]
                sure = [k for k in later if confident[k]]
                near, far, case = (d(i, p) + d(i, n)) / 2, d(i, (sure or later)[0]), 'TP-FN'
            else:
                near, far, case = d(i, n), d(i, p), 'FP-FN'
        elif confident[p]:
            near, far, case = d(i, p), d(i, n), 'TP-TN'
        else:
            p_again = again[i]
            assert confident[p_again]  # the anchor is, if nothing else
            near, far, case = d(i, p_again), (d(i, p) + d(i, n)) / 2, 'FP-TN'
        terms.append(max(0.0, margin + near - far))
        cases.add(case)
    return (sum(terms) / len(terms) if terms else 0.0), cases


def test_triplets_equal_the_four_cases():
    seen = set()
    for seed in range(40):
        rows = draw(seed, identities=2 + seed % 4)
        expected, cases = expected_loss(*rows, seed, 0.3)
        found = robust_triplet(*rows, torch.Generator().manual_seed(seed), 0.3)
        assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
        seen |= cases
    assert seen == {'TP-TN', 'TP-FN', 'FP-TN', 'FP-FN'}


def test_confident_labels_give_a_triplet_with_a_random_positive():
    features, labels, predictions, _ = draw(0)
    everyone = torch.ones(len(labels), dtype=torch.bool)
    expected, cases = expected_loss(features, labels, predictions, everyone, 5, 0.3)
    assert cases == {'TP-TN'}
    found = robust_triplet(features, labels, predictions, everyone, torch.Generator().manual_seed(5))
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize('labels', [[0, 1, 2], [0, 0, 0]], ids=['no positive', 'no negative'])
def test_anchors_without_both_partners_give_a_differentiable_zero(labels):
    features = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    everyone = torch.ones(3, dtype=torch.bool)
    loss = robust_triplet(features, torch.tensor(labels), torch.tensor(labels), everyone, torch.Generator())
    loss.backward()
    assert loss.item() == 0
    assert not features.grad.any()


def test_triplet_gradients():
    features, labels, predictions, confident = draw(3)

    def loss(rows):
        return robust_triplet(rows, labels, predictions, confident, torch.Generator().manual_seed(0), 5.0)

    assert torch.autograd.gradcheck(loss, features.requires_grad_())


def test_modules_read_logits_and_probabilities():
    features, labels, _, _ = draw(1)
    generator = torch.Generator().manual_seed(1)
    logits, clean = torch.randn(14, 4, generator=generator), torch.rand(14, generator=generator)
    batch = LabeledBatch({'static': features, 'static_head': logits, 'clean_static': clean}, labels, labels > 1, seed=7)
    identity = MODELS.build({'type': 'CleanIdentityLoss'})
    expected = sum(p * F.cross_entropy(row, label) for p, row, label in zip(clean, logits, labels, strict=True)) / 14
    torch.testing.assert_close(identity(batch), expected)
    triplet = MODELS.build({'type': 'RobustTripletLoss', 'margin': 0.7, 'threshold': 0.4})
    expected = robust_triplet(features, labels, logits.argmax(1), clean >= 0.4, torch.Generator().manual_seed(7), 0.7)
    torch.testing.assert_close(triplet(batch), expected)
    assert triplet.reads == ('static', 'static_head', 'clean_static')
    with pytest.raises(ConfigError, match='RobustTripletLoss: margin'):
        MODELS.build({'type': 'RobustTripletLoss', 'margin': -1})


class TestCleanProbabilities:
    def test_small_losses_are_probably_correct_labels(self):
        rng = np.random.default_rng(0)
        losses = np.concatenate([rng.normal(1, 0.1, 80), rng.normal(4, 0.3, 20)])
        found = clean_probabilities(losses)
        assert (found[:80] > 0.99).all()
        assert (found[80:] < 0.01).all()
        # neither scale nor place of the losses matters
        np.testing.assert_allclose(clean_probabilities(100 * losses - 7), found, atol=1e-6)

    def test_is_the_posterior_of_the_fitted_mixture(self):
        losses = np.array([0.0, 0.1, 0.2, 0.8, 0.9, 1.0])
        # two groups far apart: their means and variances are those of the components
        low, high = losses[:3], losses[3:]
        variance = low.var() + 5e-4
        densities = [np.exp(-((losses - part.mean()) ** 2) / (2 * variance)) for part in (low, high)]
        np.testing.assert_allclose(clean_probabilities(losses), densities[0] / sum(densities), atol=1e-3)

    @pytest.mark.parametrize('losses', [[], [2.0], [1.0, 1.0, 1.0]])
    def test_equal_losses_say_nothing(self, losses):
        assert clean_probabilities(np.array(losses)).tolist() == [1.0] * len(losses)
