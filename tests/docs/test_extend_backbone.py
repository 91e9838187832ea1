"""The tutorial on encoders runs: both encoders are built by config, and train in both stages."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import Config

from dscreid.pseudo_labels import PseudoLabels
from dscreid.registry import MODELS
from dscreid.structures import ReIDDataSample, TrackletFeatures

PAGE = Path(__file__).parents[2] / 'docs' / 'extend' / 'backbone.md'
NAMES = ('ResNet18Tower', 'RecurrentEncoder')


@pytest.fixture
def backbone(tmp_path, monkeypatch):
    """Config of the page's video encoder, read from the page's file."""
    blocks = re.findall(r'^```python\n(.*?)^```', PAGE.read_text(encoding='utf-8'), flags=re.M | re.S)
    *module, source, target, config = blocks
    assert '# my_source.py' in source
    assert '# my_target.py' in target
    (tmp_path / 'own_encoders.py').write_text('\n'.join(module))
    (tmp_path / 'my_backbone.py').write_text(config)
    monkeypatch.syspath_prepend(tmp_path)
    settings = Config.fromfile(tmp_path / 'my_backbone.py').model.backbone.to_dict()
    assert settings.pop('_delete_')
    yield settings
    sys.modules.pop('own_encoders', None)
    for name in NAMES:
        MODELS.module_dict.pop(name, None)


def _samples(count):
    return [
        ReIDDataSample(metainfo=dict(index=i, seed=i, modality=('rgb', 'ir')[i % 2], label=i // 2))
        for i in range(count)
    ]


def test_an_image_encoder_becomes_a_tracklet_encoder(backbone):
    encoder = MODELS.build(dict(type='FrameAverage', tower=backbone['tower'])).eval()
    inputs = torch.randn(2, 3, 3, 64, 32)
    static, dynamic = encoder(inputs)
    assert static.shape == dynamic.shape == (2, 512)
    frames = encoder.tower(inputs.flatten(0, 1)).reshape(2, 3, 512)
    torch.testing.assert_close(static, frames.mean(1))


def test_the_tower_loads_weights_before_training(backbone, tmp_path):
    first = MODELS.build(backbone['tower'])
    torch.save(first.network.state_dict() | {'fc.weight': torch.zeros(1)}, tmp_path / 'resnet18.pth')
    second = MODELS.build(dict(backbone, tower=backbone['tower'] | {'weights': str(tmp_path / 'resnet18.pth')}))
    second.init_weights()
    torch.testing.assert_close(second.tower.network.state_dict(), first.network.state_dict())


def test_the_video_encoder_trains_in_both_stages(backbone):
    torch.manual_seed(0)
    inputs, samples = torch.randn(4, 3, 3, 32, 16), _samples(4)
    source = MODELS.build(dict(type='SourceReID', backbone=backbone, num_classes=2))
    assert source.architecture['backbone.tower.type'] == 'ResNet18Tower'
    adapted = MODELS.build(dict(type='AdaptiveReID', backbone=backbone))
    adapted.backbone.load_state_dict(source.backbone.state_dict())
    static, dynamic = adapted.extract_feat(inputs)
    assert static.shape == dynamic.shape == (4, 512)
    assert not torch.equal(static, dynamic)
    features = TrackletFeatures(static.detach()[:2], dynamic.detach()[:2])
    labels = PseudoLabels(rgb=np.array([0, 1]), ir=np.array([0, 1]), shared=True)
    adapted.reset_memories(features, features, labels, np.array([0, 2]), np.array([1, 3]))
    for model in (source, adapted):
        sum(model(inputs, samples, mode='loss').values()).backward()
        assert all(parameter.grad is not None for parameter in model.backbone.parameters())
