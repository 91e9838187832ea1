"""Registered losses of supervised training: which rows they compare, and what they refuse."""

import pytest
import torch
import torch.nn.functional as F

from dscreid.errors import ConfigError
from dscreid.models.losses import LabeledBatch, batch_hard_triplet, center_triplet, weighted_regularized_triplet
from dscreid.registry import MODELS

LABELS = [0, 0, 1, 1, 2, 2, 2]
VISIBLE = [True, False, True, False, True, False, True]


def batch(versions=1, **parts):
    """A batch of seven tracklets; unless given, ``static`` holds random rows for all versions."""
    generator = torch.Generator().manual_seed(0)
    parts.setdefault('static', torch.randn(7 * versions, 5, generator=generator, dtype=torch.float64))
    labels, visible = (torch.tensor(values).repeat(versions) for values in (LABELS, VISIBLE))
    return LabeledBatch(parts, labels, visible, versions)


def build(kind, **keywords):
    return MODELS.build({'type': kind, **keywords})


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_cross_entropy_over_rows_and_groups(smoothing):
    logits = torch.randn(7, 4, 3, generator=torch.Generator().manual_seed(1))
    own = batch(static_head=logits, other_head=logits[:, 0])
    labels = torch.tensor(LABELS)
    expected = [F.cross_entropy(logits[:, group], labels, label_smoothing=smoothing) for group in range(4)]
    loss = build('IdentityLoss', label_smoothing=smoothing)(own)
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    torch.testing.assert_close(build('IdentityLoss', part='other_head', label_smoothing=smoothing)(own), expected[0])
    torch.testing.assert_close(build('IdentityLoss', groups=(2, 3), label_smoothing=smoothing)(own), expected[2])


def test_cross_entropy_of_some_groups():
    logits, labels = torch.randn(7, 4, 3, generator=torch.Generator().manual_seed(1)), torch.tensor(LABELS)
    terms = torch.stack([F.cross_entropy(logits[:, group], labels) for group in range(4)])
    for groups, expected in (((0, 1), terms[0]), ((1, None), terms[1:].mean()), ([1, 3], terms[1:3].mean())):
        torch.testing.assert_close(build('IdentityLoss', groups=groups)(batch(static_head=logits)), expected)
    with pytest.raises(ConfigError, match=r'groups must be the first and the end of a range, got \(1,\)'):
        build('IdentityLoss', groups=(1,))


def test_triplets_of_the_config_are_the_functions():
    own = batch()
    features, labels = own.parts['static'], own.labels
    torch.testing.assert_close(build('WeightedTripletLoss')(own), weighted_regularized_triplet(features, labels))
    torch.testing.assert_close(
        build('BatchHardTripletLoss', margin=0.6)(own), batch_hard_triplet(features, labels, 0.6)
    )
    unit = batch_hard_triplet(F.normalize(features, dim=1), labels, 0.3)
    torch.testing.assert_close(build('BatchHardTripletLoss', normalize=True)(own), unit)


def test_version_pairs_are_batches_of_their_own():
    own = batch(versions=2)
    first, second = own.parts['static'].chunk(2)
    visible = torch.tensor(VISIBLE)[:, None]
    terms = [
        batch_hard_triplet(torch.where(visible, a, b), torch.tensor(LABELS))
        for a in (first, second)
        for b in (first, second)
    ]
    loss = build('BatchHardTripletLoss', over_version_pairs=True)(own)
    torch.testing.assert_close(loss, torch.stack(terms).mean())


def test_centers_of_the_first_version_against_each_other():
    own = batch(versions=3)
    first, second, third = own.parts['static'].chunk(3)
    labels = torch.tensor(LABELS)
    expected = (center_triplet(first, second, labels) + center_triplet(first, third, labels)) / 2
    torch.testing.assert_close(build('CenterTripletLoss')(own), expected)
    with pytest.raises(ConfigError, match='several versions'):
        build('CenterTripletLoss')(batch())


def test_unknown_parts_are_named_with_the_known_ones():
    with pytest.raises(ConfigError, match="no part 'maps' in a training batch; known are static"):
        build('WeightedTripletLoss', part='maps')(batch())


def test_a_loss_is_active_between_its_epochs():
    loss = build('WeightedTripletLoss', begin=2, end=4)
    assert [epoch for epoch in range(6) if loss.is_active(epoch)] == [2, 3]


@pytest.mark.parametrize(
    ('kind', 'keywords', 'message'),
    [
        ('IdentityLoss', dict(weight=-1.0), 'weight must be'),
        ('IdentityLoss', dict(weight=float('nan')), 'weight must be'),
        ('IdentityLoss', dict(label_smoothing=1.0), 'label_smoothing'),
        ('WeightedTripletLoss', dict(begin=3, end=2), 'begin <= end'),
        ('BatchHardTripletLoss', dict(margin=-0.1), 'margin'),
        ('CenterTripletLoss', dict(margin=-0.1), 'margin'),
        ('DenseTripletLoss', dict(margin=-0.1), 'margin'),
    ],
)
def test_bad_values_are_named(kind, keywords, message):
    with pytest.raises(ConfigError, match=message):
        build(kind, **keywords)
