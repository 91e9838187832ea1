"""Supervised training with heads and losses from the config."""

import pytest
import torch
import torch.nn.functional as F

from dscreid.engine.source_weights import load_source_weights
from dscreid.errors import ConfigError
from dscreid.models.losses import batch_hard_triplet
from dscreid.models.reid import AdaptiveReID, is_supervised
from dscreid.registry import MODELS

LABELS = [0, 0, 1, 1, 2, 2]
HEADS = dict(static=dict(type='IdentityHead'))
LOSSES = dict(
    id=dict(type='IdentityLoss', weight=2.0, label_smoothing=0.1),
    triplet=dict(type='BatchHardTripletLoss', margin=0.5),
)


@MODELS.register_module()
class VersionedEncoder(torch.nn.Module):
    """Twice the mean frame color in training, the second time negated, and the colors as another part."""

    embed_dim = 3
    part_widths = {'colors': 3}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(3))

    def forward(self, inputs):
        colors = inputs.mean(dim=(1, 3, 4)) * self.scale
        return colors, colors

    def training_parts(self, inputs):
        colors, _ = self(inputs)
        both = torch.cat([colors, -colors])
        return {'static': both, 'dynamic': both, 'colors': colors}


def build(backbone='VersionedEncoder', heads=HEADS, losses=LOSSES, **keywords):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type='SupervisedReID', backbone=dict(type=backbone), num_classes=3, heads=heads, losses=losses, **keywords)
    )


def test_losses_cover_all_versions(tracklets):
    model = build()
    inputs, samples = tracklets(range(6), LABELS)
    losses = model(inputs, samples, mode='loss')
    colors = inputs.mean(dim=(1, 3, 4))
    both, labels = torch.cat([colors, -colors]), torch.tensor(LABELS * 2)
    logits = F.batch_norm(both, None, None, training=True) @ model.static_head.weight.T
    assert list(losses) == ['loss_id', 'loss_triplet']
    torch.testing.assert_close(losses['loss_id'], 2 * F.cross_entropy(logits, labels, label_smoothing=0.1))
    torch.testing.assert_close(losses['loss_triplet'], batch_hard_triplet(both, labels, 0.5))
    # in retrieval there is one version
    assert model(inputs, samples, mode='tensor')[0].shape == (6, 3)


def test_encoders_without_training_parts_give_their_two_halves(tracklets):
    model = build('TinyEncoder', losses=dict(triplet=dict(type='WeightedTripletLoss', part='dynamic')), heads={})
    assert set(model(*tracklets(range(6), LABELS), mode='loss')) == {'loss_triplet'}


def test_only_what_a_loss_reads_learns(tracklets):
    model = build('TinyEncoder')
    before = model.dynamic_neck.running_mean.clone()
    sum(model(*tracklets(range(6), LABELS), mode='loss').values()).backward()
    assert model.static_neck.weight.requires_grad
    assert not model.dynamic_neck.weight.requires_grad
    assert not torch.equal(model.dynamic_neck.running_mean, before)  # its statistics are still gathered
    assert model.static_head.weight.grad.any()


def test_losses_begin_and_end(tracklets):
    late = dict(LOSSES, triplet=dict(type='WeightedTripletLoss', begin=1, end=2), off=None)
    model, batch = build(losses=late), tracklets(range(6), LABELS)
    for epoch, expected in enumerate([{'loss_id'}, {'loss_id', 'loss_triplet'}, {'loss_id'}]):
        model.set_epoch(epoch)
        assert set(model(*batch, mode='loss')) == expected


def test_heads_may_read_heads_and_other_parts(tracklets):
    heads = dict(
        small=dict(type='ProjectionHead', part='colors', width=2),
        static=dict(type='IdentityHead', part='small_head'),
    )
    model = build(heads=heads, losses=dict(other=dict(type='ModalityDistanceLoss', part='small_head')))
    assert model.static_head.in_features == 2
    assert set(model(*tracklets(range(6), LABELS), mode='loss')) == {'loss_other'}


def test_its_encoder_serves_adaptation(tmp_path):
    graph = dict(type='GrowingIdentityLoss')
    model = build('TinyEncoder', losses=dict(LOSSES, graph=graph))
    assert 'losses.graph.record' in model.state_dict()
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(architecture=model.architecture)), path)
    target = AdaptiveReID(dict(type='TinyEncoder'))
    torch.nn.init.zeros_(target.backbone.static.weight)
    load_source_weights(target, path)
    assert torch.equal(target.backbone.static.weight, model.backbone.static.weight)
    # and another number of people
    load_source_weights(MODELS.build(dict(type='SourceReID', backbone=dict(type='TinyEncoder'), num_classes=9)), path)


def test_derived_models_are_supervised_too():
    assert is_supervised(dict(type='SupervisedReID'))
    assert is_supervised(dict(type='SourceReID'))
    assert not is_supervised(dict(type='AdaptiveReID'))
    assert not is_supervised({})


@pytest.mark.parametrize(
    ('keywords', 'message'),
    [
        (
            dict(losses=dict(id=dict(type='IdentityLoss', part='dynamic_head'))),
            "no part is named 'dynamic_head'; known",
        ),
        (
            dict(heads=dict(static=dict(type='IdentityHead', part='maps'))),
            "IdentityHead: no part is named 'maps'; known",
        ),
    ],
)
def test_unknown_parts_are_refused(keywords, message):
    with pytest.raises(ConfigError, match=message):
        build(**keywords)


def test_labels_are_needed(tracklets):
    with pytest.raises(ConfigError, match='SupervisedReID needs a label'):
        build()(*tracklets(range(4)), mode='loss')
