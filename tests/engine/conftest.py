"""A model that is one number per tracklet, its loader, and a runner that only remembers."""

import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from dscreid.structures import ReIDDataSample, TrackletFeatures


class NumberModel(nn.Module):
    """Features of a tracklet whose input is the number x: static [x, 1], dynamic [-x, 1]."""

    flip_test = False

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.seen_training = []
        self.backbone = SimpleNamespace(embed_dim=2)

    def data_preprocessor(self, data, training):
        assert not training
        return dict(inputs=torch.stack(data['inputs']), data_samples=data['data_samples'])

    def extract_feat(self, inputs):
        self.seen_training.append(self.training)
        ones = torch.ones(len(inputs))
        return torch.stack([inputs * self.scale, ones], 1), torch.stack([-inputs * self.scale, ones], 1)

    def embed(self, inputs):
        return TrackletFeatures(*self.extract_feat(inputs))

    def finish(self, raw):
        return raw


def collate(items):
    return dict(inputs=[item[0] for item in items], data_samples=[item[1] for item in items])


@pytest.fixture
def number_model():
    return NumberModel()


@pytest.fixture
def number_loader():
    """Function that makes a loader over ten numbers, in the given order of indices."""

    def make(order=tuple(range(10)), batch_size=4):
        items = [(torch.tensor(float(index) ** 2), ReIDDataSample(metainfo=dict(index=index))) for index in range(10)]
        return DataLoader(items, batch_size=batch_size, sampler=list(order), collate_fn=collate)

    return make


@pytest.fixture
def fake_runner():
    scalars = []
    return SimpleNamespace(
        epoch=0,
        iter=0,
        seed=1,
        scalars=scalars,
        logger=logging.getLogger('fake'),
        visualizer=SimpleNamespace(add_scalars=lambda values, step: scalars.append((step, values))),
    )
