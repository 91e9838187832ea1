"""A tiny encoder and the data samples that the tests of both models share."""

import pytest
import torch
from torch import nn

from dscreid.registry import MODELS
from dscreid.structures import ReIDDataSample


@MODELS.register_module()
class TinyEncoder(nn.Module):
    """Two linear maps of the mean over frames and columns; the dynamic one also sees the frames' order."""

    def __init__(self, embed_dim=8, height=4):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.embed_dim = embed_dim
        self.static = nn.Linear(3 * height, embed_dim)
        self.dynamic = nn.Linear(3 * height, embed_dim)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)

    def forward(self, inputs):
        columns = torch.linspace(0.5, 1.5, inputs.shape[-1])  # so that a mirror image differs
        order = torch.linspace(0.5, 1.5, inputs.shape[1])[:, None]
        rows = (inputs * columns).mean(-1).flatten(2)  # (N, T, 3 H)
        return self.static(rows.mean(1)), self.dynamic((rows * order).mean(1))


@pytest.fixture
def tracklets():
    """Normalized tracklets (N, T, 3, H, W) with their data samples; odd indices are infrared."""

    def make(indices, labels=None, seed=0):
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(len(indices), 3, 3, 4, 4, generator=generator)
        samples = []
        for position, index in enumerate(indices):
            facts = {'index': index, 'seed': index, 'modality': 'ir' if index % 2 else 'rgb', 'camera': 1}
            if labels is not None:
                facts['label'] = labels[position]
            samples.append(ReIDDataSample(metainfo=facts))
        return inputs, samples

    return make


@MODELS.register_module()
class TinyTwoStreamEncoder(TinyEncoder):
    """A tiny encoder that must be told the modalities: it scales infrared tracklets."""

    needs_modalities = True

    def forward(self, inputs, modalities=None):
        if modalities is None or len(modalities) != len(inputs):
            raise ValueError('needs one modality per tracklet')
        scale = torch.tensor([1.0 if modality == 'rgb' else -2.0 for modality in modalities])
        return super().forward(inputs * scale[:, None, None, None, None])
