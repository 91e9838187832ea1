"""Models of timm as tracklet encoders."""

import pytest
import timm
import torch
from torch.nn.functional import layer_norm

from dscreid.errors import CheckpointError, ConfigError
from dscreid.registry import MODELS

NAME = 'test_vit'  # timm's own smallest
FRAMES = torch.randn(2, 3, 3, 160, 160, generator=torch.Generator().manual_seed(0))


def build(**keywords):
    torch.manual_seed(0)
    return MODELS.build({'type': 'TimmBackbone', 'model_name': NAME, **keywords}).eval()


@torch.no_grad()
def test_static_half_is_the_mean_over_frames():
    model = build()
    static, dynamic = model(FRAMES)
    assert static is dynamic
    for row in range(2):
        torch.testing.assert_close(static[row], model.network(FRAMES[row]).mean(0), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_dynamic_half_attends_between_frames():
    model = build(num_heads=4)
    static, dynamic = model(FRAMES)
    frames = model.network(FRAMES.flatten(0, 1)).unflatten(0, (2, 3))
    attended, _ = model.attn(frames, frames, frames)
    expected = layer_norm(attended, (model.embed_dim,)).mean(1)
    torch.testing.assert_close(dynamic, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(static, frames.mean(1), rtol=1e-4, atol=1e-5)


def test_weights_with_a_classifier_are_loaded(tmp_path):
    torch.manual_seed(5)
    official = timm.create_model(NAME, pretrained=False)
    torch.save(official.state_dict(), tmp_path / 'weights.pth')
    model = build(pretrained=str(tmp_path / 'weights.pth'))
    assert not torch.equal(model.network.pos_embed, official.pos_embed)
    model.init_weights()
    assert torch.equal(model.network.pos_embed, official.pos_embed)


def test_options_reach_timm():
    model = build(options=dict(img_size=(64, 32)))
    assert model(FRAMES[:, :, :, :64, :32])[0].shape == (2, model.embed_dim)
    with pytest.raises(ConfigError, match='test_vit cannot be built with'):
        build(options=dict(nonsense=3))


def test_faults_are_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"has no model 'test_vitt'.*did you mean 'test_vit"):
        build(model_name='test_vitt')
    with pytest.raises(ConfigError, match='num_heads must be 0 or divide 64, got 7'):
        build(num_heads=7)
    with pytest.raises(CheckpointError, match=r'gone\.pth: pretrained weights not found; get the weights of test_vit'):
        build(pretrained='gone.pth').init_weights()
    torch.save({'other': torch.zeros(1)}, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=r"does not fit timm's test_vit \(missing"):
        build(pretrained=str(tmp_path / 'other.pth')).init_weights()
