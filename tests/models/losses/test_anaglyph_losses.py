"""IBAN's losses between the modalities against plain loops."""

import pytest
import torch

from dscreid.models.losses import LabeledBatch
from dscreid.models.losses.anaglyph_losses import counterparts, easy_positive
from dscreid.registry import MODELS

LABELS = [0, 1, 0, 0, 1, 0, 2, 1]
VISIBLE = [True, True, False, True, False, False, True, False]


def rows(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch(**parts):
    return LabeledBatch(parts, torch.tensor(LABELS), torch.tensor(VISIBLE))


@pytest.mark.parametrize('positives_only', [False, True])
def test_easy_positive_equals_plain_loops(positives_only):
    features, expected = rows(0, 8, 5), 0.0
    for i in range(8):
        across = [k for k in range(8) if VISIBLE[k] != VISIBLE[i]]
        positives = [k for k in across if LABELS[k] == LABELS[i]]
        if not positives:  # person 2 has no infrared row
            continue
        easy = features[min(positives, key=lambda k: float((features[i] - features[k]).norm()))]
        for k in positives if positives_only else across:
            expected += float((features[k] - easy).square().mean())
    found = easy_positive(features, torch.tensor(LABELS), torch.tensor(VISIBLE), positives_only)
    assert found.item() == pytest.approx(expected)
    loss = MODELS.build({'type': 'EasyPositiveLoss', 'positives_only': positives_only})
    torch.testing.assert_close(loss(batch(static=features)), found)


def test_the_nearest_row_gets_no_gradient():
    # of two people, each with one row per modality, a pair is its own nearest: only the other person's rows move
    features = rows(1, 4, 3).requires_grad_()
    labels, visible = torch.tensor([0, 0, 1, 1]), torch.tensor([True, False, True, False])
    assert easy_positive(features, labels, visible, positives_only=True).item() == 0
    easy_positive(features, labels, visible).backward()
    expected = 2 * (features[3] - features[1]).detach() / 3  # row 3 is pulled to row 1 by anchor 0
    torch.testing.assert_close(features.grad[3], expected)


@pytest.mark.parametrize('positives_only', [False, True])
def test_easy_positive_gradients(positives_only):
    labels, visible = torch.tensor(LABELS), torch.tensor(VISIBLE)
    anchor = rows(2, 8, 4)
    features = rows(2, 8, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(easy_positive(features, labels, visible, positives_only), features)
    # the targets are fixed at their value at the point of differentiation
    expected = torch.zeros_like(anchor)
    for i in range(8):
        across = [k for k in range(8) if VISIBLE[k] != VISIBLE[i]]
        positives = [k for k in across if LABELS[k] == LABELS[i]]
        if positives:
            easy = anchor[min(positives, key=lambda k: float((anchor[i] - anchor[k]).norm()))]
            for k in positives if positives_only else across:
                expected[k] += 2 * (anchor[k] - easy) / 4
    torch.testing.assert_close(gradient, expected)


def test_counterparts_have_the_same_place_in_their_modality():
    partners, used = counterparts(torch.tensor(LABELS), torch.tensor(VISIBLE))
    # person 0: visible 0, 3 and infrared 2, 5; person 1: visible 1 and infrared 4, 7; person 2: visible 6
    assert used.tolist() == [True, True, True, True, True, True, False, False]
    assert partners[used].tolist() == [2, 4, 0, 5, 1, 3]


def test_translation_compares_with_the_counterparts_maps():
    translated, maps = rows(3, 8, 2, 3, 2, 2), rows(4, 8, 2, 3, 2, 2).requires_grad_()
    pairs = [(0, 2), (1, 4), (3, 5)]
    to_infrared = sum((translated[v] - maps[t]).square().mean() for v, t in pairs) / 3
    to_visible = sum((translated[t] - maps[v]).square().mean() for v, t in pairs) / 3
    loss = MODELS.build({'type': 'TranslationLoss'})
    found = loss(batch(translated_head=translated.requires_grad_(), anaglyph_layer4=maps))
    assert found.item() == pytest.approx((to_infrared + to_visible).item(), rel=1e-6)
    found.backward()
    assert maps.grad is None
    assert translated.grad[:6].any()
    assert not translated.grad[6:].any()
