"""Stage 1: losses, weights and learning."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper

from dscreid.errors import ConfigError
from dscreid.models.heads import IdentityHead
from dscreid.models.losses import weighted_regularized_triplet
from dscreid.models.reid import SourceReID
from dscreid.registry import MODELS
from dscreid.structures import ReIDDataSample

LABELS = [0, 0, 1, 1, 2, 2]


def build(**keywords):
    return MODELS.build({'type': 'SourceReID', 'backbone': {'type': 'TinyEncoder'}, 'num_classes': 3, **keywords})


def test_losses_are_cross_entropy_on_the_neck_and_triplet_on_the_raw_feature(tracklets):
    model = build(identity_weight=2.0, dynamic_identity_weight=0.4, dynamic_weight=0.5, label_smoothing=0.1)
    inputs, samples = tracklets(range(6), LABELS)
    losses = model(inputs, samples, mode='loss')
    static, dynamic = model.extract_feat(inputs)
    labels = torch.tensor(LABELS)
    entropy = [
        F.cross_entropy(F.batch_norm(raw, None, None, training=True) @ head.weight.T, labels, label_smoothing=0.1)
        for head, raw in ((model.static_head, static), (model.dynamic_head, dynamic))
    ]
    expected = {
        'loss_id_static': 2 * entropy[0],
        'loss_triplet_static': weighted_regularized_triplet(static, labels),
        'loss_id_dynamic': 0.2 * entropy[1],
        'loss_triplet_dynamic': 0.5 * weighted_regularized_triplet(dynamic, labels),
    }
    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name])


def test_weight_zero_leaves_a_loss_out(tracklets):
    losses = build(triplet_weight=0, dynamic_identity_weight=0)(*tracklets(range(6), LABELS), mode='loss')
    assert set(losses) == {'loss_id_static', 'loss_triplet_dynamic'}


def test_dynamic_weight_zero_still_gathers_the_necks_statistics(tracklets):
    model = build(dynamic_weight=0)
    before = model.dynamic_neck.running_mean.clone()
    losses = model(*tracklets(range(6), LABELS), mode='loss')
    assert set(losses) == {'loss_id_static', 'loss_triplet_static'}
    assert not torch.equal(model.dynamic_neck.running_mean, before)
    sum(losses.values()).backward()
    heads = [p for name, p in model.named_parameters() if p.requires_grad and 'backbone' not in name]
    assert all(parameter.grad is not None for parameter in heads)


def test_learns_separable_identities():
    model = build(data_preprocessor={'augmentation': {'pad': 1, 'infrared_views': ('plain',)}}).train()
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), lr=0.02))
    generator = torch.Generator().manual_seed(0)
    data = {'inputs': [], 'data_samples': []}
    for position in range(12):
        label = position % 3
        noise = torch.randint(0, 60, (3, 3, 4, 4), generator=generator)
        noise[:, label] += 190
        data['inputs'].append(noise.to(torch.uint8))
        facts = {'index': position, 'seed': position, 'modality': 'ir', 'label': label}
        data['data_samples'].append(ReIDDataSample(metainfo=facts))
    history = [float(model.train_step(data, optimizer)['loss_id_static']) for _ in range(25)]
    assert history[0] == pytest.approx(1.0986, abs=0.05)
    assert history[-1] < 0.3


def test_head_is_bias_free_and_small():
    head = IdentityHead(64, 100)
    assert head.bias is None
    assert head.weight.std().item() == pytest.approx(0.001, rel=0.1)


def test_unlabelled_data_are_refused(tracklets):
    with pytest.raises(ConfigError, match='labelled=True'):
        build()(*tracklets(range(4)), mode='loss')


@pytest.mark.parametrize(
    ('keywords', 'message'),
    [({'num_classes': 0}, 'num_classes'), ({'label_smoothing': 1.0}, 'label_smoothing')],
)
def test_bad_source_values_are_named(keywords, message):
    with pytest.raises(ConfigError, match=message):
        SourceReID(**({'backbone': {'type': 'TinyEncoder'}, 'num_classes': 3} | keywords))
