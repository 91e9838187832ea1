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


@MODELS.register_module()
class JoinedEncoder(VersionedEncoder):
    """Its static half consists of two named parts."""

    segments = {'first': 1, 'second': 2}  # noqa: RUF012


def test_the_static_half_may_consist_of_named_parts(tracklets):
    heads = dict(
        first=dict(type='IdentityHead', part='neck_first'), second=dict(type='IdentityHead', part='neck_second')
    )
    losses = dict(
        id_first=dict(type='IdentityLoss', part='first_head'),
        id_second=dict(type='IdentityLoss', part='second_head'),
        triplet=dict(type='BatchHardTripletLoss', part='second'),
    )
    model, (inputs, samples) = build('JoinedEncoder', heads, losses), tracklets(range(6), LABELS)
    assert (model.first_head.in_features, model.second_head.in_features) == (1, 2)
    assert model.static_neck.weight.requires_grad
    found = model(inputs, samples, mode='loss')
    colors = inputs.mean(dim=(1, 3, 4))
    both, labels = torch.cat([colors, -colors]), torch.tensor(LABELS * 2)
    neck = F.batch_norm(both, None, None, training=True)
    first = F.cross_entropy(neck[:, :1] @ model.first_head.weight.T, labels)
    torch.testing.assert_close(found['loss_id_first'], first)
    second = F.cross_entropy(neck[:, 1:] @ model.second_head.weight.T, labels)
    torch.testing.assert_close(found['loss_id_second'], second)
    torch.testing.assert_close(found['loss_triplet'], batch_hard_triplet(both[:, 1:], labels, 0.3))


def test_memories_are_made_from_the_part_that_is_compared(tracklets):
    heads = dict(memory=dict(type='IdentityMemoryHead', part='second'))
    model = build('JoinedEncoder', heads, dict(memory=dict(type='IdentityLoss', part='memory_head')))
    assert list(model.memory_heads) == ['memory_head']
    static = torch.arange(12.0).reshape(4, 3)
    memories = model.make_memories(static, torch.tensor([0, 2, 0, 2]))
    expected = torch.stack([static[[0, 2], 1:].mean(0), torch.zeros(2), static[[1, 3], 1:].mean(0)])
    torch.testing.assert_close(memories['memory_head'], expected)
    inputs, samples = tracklets(range(6), LABELS)
    with pytest.raises(ConfigError, match='IdentityMemoryHead: its memory is empty; add default_hooks=dict'):
        model(inputs, samples, mode='loss')
    model.fill_memories(memories)
    colors = inputs.mean(dim=(1, 3, 4))[:, 1:]
    logits = torch.cat([colors, -colors]) @ expected.T
    loss = model(inputs, samples, mode='loss')['loss_memory']
    torch.testing.assert_close(loss, F.cross_entropy(logits, torch.tensor(LABELS * 2)))


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
