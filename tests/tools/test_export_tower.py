"""An exported tower loads through `pretrained` and gives the same features."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
import torch

from dscreid.errors import DscreidError
from dscreid.models.backbones import CLIPVisionTransformer, FrameAverage
from dscreid.models.reid.base import architecture_of
from dscreid.registry import MODELS
from dscreid.utils.checkpoint import load_weights, read_metadata, sha256

TOOL = Path(__file__).parents[2] / 'tools' / 'model_converters' / 'export_tower.py'
TOWER = {
    'type': 'CLIPVisionTransformer',
    'image_size': (32, 16),
    'patch_size': 8,
    'width': 32,
    'layers': 2,
    'heads': 4,
    'activation': 'gelu',
    'stem': {'type': 'ConvStem', 'channels': (8, 16)},
}
BACKBONE = {'type': 'FrameAverage', 'tower': {**TOWER, 'pretrained': 'not/there.pt'}}
META = {'architecture': architecture_of(BACKBONE)}


@pytest.fixture(scope='module')
def export():
    spec = importlib.util.spec_from_file_location('export_tower', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    model = FrameAverage(TOWER)
    model(torch.randn(4, 2, 3, 32, 16))  # gives BatchNorm statistics of its own
    return model.eval()


@pytest.fixture
def checkpoint(model, tmp_path):
    state_dict = {f'backbone.{name}': value for name, value in model.state_dict().items()}
    state_dict['static_neck.weight'] = torch.ones(32)
    torch.save({'state_dict': state_dict, 'meta': META}, path := tmp_path / 'epoch_1.pth')
    return path


def load(path, **settings):
    settings = {**TOWER, **settings, 'pretrained': str(path)}
    settings.pop('type')
    tower = CLIPVisionTransformer(**settings).eval()
    tower.init_weights()
    return tower


def test_round_trip(export, checkpoint, model, tmp_path, capsys):
    target = tmp_path / 'weights' / 'tower.safetensors'
    export([str(checkpoint), str(target), '--note', 'seed 3'])
    report = capsys.readouterr().out
    assert sha256(target) in report
    assert 'MiB' in report
    images = torch.randn(2, 3, 32, 16)
    with torch.no_grad():
        torch.testing.assert_close(load(target)(images), model.tower(images))
    metadata = read_metadata(target)
    assert metadata['note'] == 'seed 3'
    assert json.loads(metadata['settings'])['stem'] == {'type': 'ConvStem', 'channels': [8, 16]}


def test_half_precision_of_matrices_alone(export, checkpoint, model, tmp_path):
    target = tmp_path / 'tower.safetensors'
    export([str(checkpoint), str(target), '--half'])
    for value in load_weights(target).values():
        if value.is_floating_point():
            assert value.dtype == (torch.half if value.ndim > 1 else torch.float32)
    images = torch.randn(2, 3, 32, 16)
    with torch.no_grad():
        torch.testing.assert_close(load(target)(images), model.tower(images), rtol=0.02, atol=0.02)


def test_config_file(export, model, tmp_path):
    torch.save({f'model.{k}': v for k, v in model.state_dict().items()}, path := tmp_path / 'bare.pth')
    target = tmp_path / 'tower.safetensors'
    (config := tmp_path / 'config.py').write_text(f'model = dict(backbone={BACKBONE})')
    export([str(path), str(target), '--config', str(config), '--prefix', 'model.tower.'])
    load(target)


@pytest.mark.parametrize(
    ('arguments', 'meta', 'message'),
    [
        ((), {}, 'does not contain the config of its tower'),
        ((), {'architecture': {'backbone.type': 'FrameAverage'}}, 'does not contain the config of its tower'),
        (('--prefix', 'x.'), META, 'contains no weights named x.*'),
        ((), {'architecture': META['architecture'] | {'backbone.tower.layers': 3}}, 'its tower is not that of its'),
        ((), {'tower': {**TOWER, 'layers': 3}}, 'its tower is not that of its config'),
    ],
)
def test_errors(arguments, meta, message, export, model, tmp_path):
    state_dict = {f'backbone.{name}': value for name, value in model.state_dict().items()}
    torch.save({'state_dict': state_dict, 'meta': meta}, path := tmp_path / 'epoch_1.pth')
    with pytest.raises(DscreidError, match=re.escape(message)):
        export([str(path), str(target := tmp_path / 'tower.safetensors'), *arguments])
    assert not target.exists()


def test_wrong_name(export, checkpoint, tmp_path):
    with pytest.raises(DscreidError, match=r'must be named \*\.safetensors'):
        export([str(checkpoint), str(tmp_path / 'tower.pth')])


PROMPTED = {'type': 'SpatioTemporalPrompting', 'num_frames': 2, 'start_layer': 1, 'num_heads': 4, 'tower': TOWER}


@pytest.fixture
def prompted(tmp_path):
    torch.manual_seed(1)
    model = MODELS.build(PROMPTED).eval()
    state_dict = {f'backbone.{name}': value for name, value in model.state_dict().items()}
    state_dict['static_neck.weight'] = torch.ones(32)
    torch.save(
        {'state_dict': state_dict, 'meta': {'architecture': architecture_of(PROMPTED)}}, path := tmp_path / 'stp.pth'
    )
    return model, path


def load_encoder(path, **settings):
    tower = {**TOWER, 'pretrained': str(path)}
    encoder = MODELS.build(PROMPTED | {'tower': tower, 'pretrained_prompts': True} | settings).eval()
    encoder.init_weights()
    return encoder


def test_an_encoder_is_exported_with_its_prompts_and_attention(export, prompted, tmp_path):
    model, checkpoint = prompted
    export([str(checkpoint), str(target := tmp_path / 'encoder.safetensors'), '--encoder'])
    images = torch.randn(3, 2, 3, 32, 16)
    with torch.no_grad():
        for half, expected in zip(load_encoder(target)(images), model(images), strict=True):
            torch.testing.assert_close(half, expected, rtol=0, atol=0)
    # the same file is a tower, too
    torch.testing.assert_close(load(target).state_dict(), model.tower.state_dict(), rtol=0, atol=0)
    without = load_encoder(target, pretrained_prompts=False)
    assert not torch.equal(without.prompt_embedding, model.prompt_embedding)


def test_a_tower_alone_has_no_prompts(export, prompted, tmp_path):
    export([str(prompted[1]), str(target := tmp_path / 'tower.safetensors')])
    with pytest.raises(
        DscreidError, match='contains a tower only; export it with --encoder, or set pretrained_prompts'
    ):
        load_encoder(target)


def test_prompts_of_another_number_of_frames_are_refused(export, prompted, tmp_path):
    export([str(prompted[1]), str(target := tmp_path / 'encoder.safetensors'), '--encoder'])
    with pytest.raises(DscreidError, match=r'does not fit the encoder .*prompt_embedding.*pretrained_prompts=False'):
        load_encoder(target, num_frames=3)
