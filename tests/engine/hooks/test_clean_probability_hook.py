"""The hook that estimates which labels are correct, with a real model on invented tracklets."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from torch import nn
from torch.utils.data import DataLoader

from dscreid.engine.hooks import CleanProbabilityHook
from dscreid.errors import ConfigError
from dscreid.models.losses import clean_probabilities
from dscreid.registry import MODELS
from dscreid.structures import Modality, ReIDDataSample


class ColoredTracklets:
    """Twelve tracklets, odd ones infrared, whose color tells the identity; the labels of the last two are wrong."""

    split, root = 'train', 'nowhere'

    def __init__(self):
        identities = np.arange(12) // 2 % 3
        self.labels = np.where(np.arange(12) < 10, identities, (identities + 1) % 3)
        generator = torch.Generator().manual_seed(0)
        colors = 200 * F.one_hot(torch.from_numpy(identities), 3) + torch.randint(40, (12, 3), generator=generator)
        self.frames = colors.to(torch.uint8)[:, None, :, None, None].expand(-1, 2, -1, 2, 2).contiguous()
        self.pipeline = None

    def __len__(self):
        return 12

    def __getitem__(self, draw):
        index = draw[0] if isinstance(draw, tuple) else draw
        facts = dict(index=index, modality='ir' if index % 2 else 'rgb', label=int(self.labels[index]))
        return dict(inputs=self.frames[index], data_samples=ReIDDataSample(metainfo=facts))

    def with_pipeline(self, pipeline):
        other = copy.copy(self)
        other.pipeline = pipeline
        return other

    def indices(self, modality):
        return np.arange(12)[int(modality is Modality.IR) :: 2]


class ColorEncoder(nn.Module):
    """The mean color, and the same with the channels in another order."""

    embed_dim = 3

    def forward(self, inputs):
        colors = inputs.mean(dim=(1, 3, 4))
        return colors, colors.roll(1, dims=1)


def build_model(heads=('static', 'dynamic')):
    torch.manual_seed(0)
    losses = {f'id_{half}': dict(type='IdentityLoss', part=f'{half}_head') for half in heads}
    losses['clean'] = dict(type='CleanIdentityLoss', part=f'{heads[0]}_head', begin=1)
    model = MODELS.build(
        dict(
            type='SupervisedReID',
            backbone=ColorEncoder(),
            num_classes=3,
            heads={half: dict(type='IdentityHead', part=f'neck_{half}') for half in heads},
            losses=losses,
            tracklet_parts=('clean_static', 'clean_dynamic'),
        )
    )
    for half in heads:
        head = model.get_submodule(f'{half}_head')
        head.weight.data = torch.randn(3, 3) + 4 * torch.eye(3).roll(1 if half == 'dynamic' else 0, dims=1)
    return model


@pytest.fixture
def runner(fake_runner):
    fake_runner.model = build_model()
    loader = DataLoader(ColoredTracklets(), batch_size=4, collate_fn=pseudo_collate)
    fake_runner.train_loop = SimpleNamespace(dataloader=loader)
    return fake_runner


def test_each_half_gets_what_the_other_one_believes(runner):
    hook, model, dataset = CleanProbabilityHook(['steps'], batch_size=5), runner.model, ColoredTracklets()
    hook.before_train(runner)
    assert hook.dataloader.dataset.pipeline == ['steps']
    hook.before_train_epoch(runner)  # in epoch 0 all labels count
    assert model.tracklet_parts == {'clean_static': None, 'clean_dynamic': None}
    runner.epoch = 1
    model.train()
    hook.before_train_epoch(runner)
    assert model.training

    colors = model.data_preprocessor.normalize(dataset.frames / 255)[:, 0, :, 0, 0]
    for half, part, features in (('dynamic', 'clean_static', colors.roll(1, 1)), ('static', 'clean_dynamic', colors)):
        logits = features / (1 + 1e-5) ** 0.5 @ model.get_submodule(f'{half}_head').weight.T
        losses = F.cross_entropy(logits, torch.from_numpy(dataset.labels), reduction='none').detach().numpy()
        for first in (0, 1):  # visible and infrared tracklets have mixtures of their own
            expected = clean_probabilities(losses[first::2], seed=2)
            np.testing.assert_allclose(model.tracklet_parts[part][first::2], expected, atol=1e-4)
        assert (model.tracklet_parts[part] < 0.5).tolist() == [False] * 10 + [True] * 2


def test_losses_read_the_value_of_each_tracklet(runner):
    model, dataset = runner.model, ColoredTracklets()
    batch = model.data_preprocessor(pseudo_collate([dataset[3], dataset[8]]), training=True)
    model.set_epoch(1)
    with pytest.raises(ConfigError, match="loss clean reads 'clean_static', but no hook"):
        model(**batch, mode='loss')
    values = torch.linspace(0, 1, 12)
    model.set_tracklet_parts({'clean_static': values, 'clean_dynamic': values})
    found = model(**batch, mode='loss')['loss_clean']
    neck = F.batch_norm(batch['inputs'].mean(dim=(1, 3, 4)), None, None, training=True)
    losses = F.cross_entropy(neck @ model.static_head.weight.T, torch.tensor(dataset.labels[[3, 8]]), reduction='none')
    torch.testing.assert_close(found, (values[[3, 8]] * losses).mean())


def test_both_halves_need_a_classifier(runner):
    runner.model = build_model(heads=('static',))
    with pytest.raises(ConfigError, match='IdentityHead named static and one named dynamic'):
        CleanProbabilityHook([]).before_train(runner)
