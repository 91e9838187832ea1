"""The converted model's features equal those of VLD, re-implemented here in the way VLD computes them."""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dscreid.apis.command_line import run_command
from dscreid.errors import ConfigError
from dscreid.models.backbones import SpatioTemporalPrompting
from dscreid.utils.checkpoint import load_checkpoint, load_model_weights

REPOSITORY = Path(__file__).parents[2]
WIDTH, HEADS, LAYERS, START, FRAMES = 128, 2, 4, 1, 3
SIZE = ('--image-size', '48', '32')
TOWER = {
    'type': 'CLIPVisionTransformer',
    'image_size': (48, 32),
    'patch_size': 16,
    'width': WIDTH,
    'layers': LAYERS,
    'heads': HEADS,
    'pretrained': 'not/there.pt',
}


def load_tool(name):
    path = REPOSITORY / 'tools' / 'model_converters' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


convert = load_tool('convert_vld').main


def refuse(arguments):
    """Run the tool as from the command line; it must refuse its input."""
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: convert(arguments))
    assert stop.value.code == 2


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """OpenAI's residual attention block, sequence first."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(WIDTH, HEADS)
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential()
        self.mlp.add_module('c_fc', nn.Linear(WIDTH, 4 * WIDTH))
        self.mlp.add_module('gelu', QuickGELU())
        self.mlp.add_module('c_proj', nn.Linear(4 * WIDTH, WIDTH))
        self.ln_2 = nn.LayerNorm(WIDTH)

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class VLD(nn.Module):
    """VLD's image side by its published description: names as in its checkpoints, sequence first."""

    def __init__(self):
        super().__init__()
        encoder = nn.Module()
        encoder.conv1 = nn.Conv2d(3, WIDTH, 16, 16, bias=False)
        encoder.class_embedding = nn.Parameter(torch.randn(WIDTH))
        encoder.positional_embedding = nn.Parameter(torch.randn(7, WIDTH))
        encoder.ln_pre = nn.LayerNorm(WIDTH)
        encoder.transformer = nn.Module()
        encoder.transformer.resblocks = nn.ModuleList([Block() for _ in range(LAYERS)])
        encoder.ln_post = nn.LayerNorm(WIDTH)
        encoder.proj = nn.Parameter(torch.randn(WIDTH, 32))
        self.image_encoder = encoder
        self.prompt_embedding = nn.Parameter(torch.randn(FRAMES, FRAMES, WIDTH))
        self.attn = nn.MultiheadAttention(WIDTH, 12 if WIDTH % 12 == 0 else 4)
        self.ln_post2 = nn.LayerNorm(WIDTH)
        # text side and heads, which a conversion must drop
        self.classifier = nn.Module()
        self.classifier.BN = nn.BatchNorm1d(WIDTH)
        self.classifier.classifier = nn.Linear(WIDTH, 5, bias=False)
        self.text_encoder = nn.Module()
        self.text_encoder.positional_embedding = nn.Parameter(torch.randn(8, 32))
        self.text_encoder.transformer = nn.Module()
        self.text_encoder.transformer.resblocks = nn.ModuleList([Block()])
        self.prompt_learner = nn.Module()
        self.prompt_learner.cls_ctx = nn.Parameter(torch.randn(5, 4, 32))
        self.logit_scale = nn.Parameter(torch.zeros(()))
        for parameter in self.parameters():  # no zero bias, no unit gain: every weight must arrive
            nn.init.normal_(parameter, std=0.3)

    def swap(self, x):
        length = x.shape[0] - FRAMES
        images, prompts = x[:length], x[length:]
        prompts = prompts.reshape(FRAMES, -1, FRAMES, WIDTH)  # prompt, tracklet, frame
        return torch.cat([images, prompts.permute(2, 1, 0, 3).reshape(FRAMES, -1, WIDTH)])

    def forward(self, frames):
        encoder = self.image_encoder
        x = encoder.conv1(frames).flatten(2).permute(2, 0, 1)
        x = torch.cat([encoder.class_embedding.expand(1, x.shape[1], -1), x])
        x = encoder.ln_pre(x + encoder.positional_embedding[:, None])
        tracklets = x.shape[1] // FRAMES
        for index, block in enumerate(encoder.transformer.resblocks):
            if index == START:
                x = torch.cat([x, self.prompt_embedding.repeat(tracklets, 1, 1).transpose(0, 1)])
            elif index > START:
                x = self.swap(x)
            x = block(x)
        x = x.transpose(0, 1)
        static = encoder.ln_post(x)[:, 0].view(tracklets, FRAMES, -1).mean(1)
        queries = x[:, 0].reshape(tracklets, FRAMES, -1).transpose(0, 1)
        keys = x[:, -FRAMES:].reshape(tracklets, FRAMES**2, -1).transpose(0, 1)
        dynamic = encoder.ln_post(self.attn(queries, keys, keys)[0]).mean(0)
        return static, dynamic


@pytest.fixture(scope='module')
def vld():
    torch.manual_seed(0)
    return VLD().eval()


class Model(nn.Module):
    """Stands for the project's models: a backbone, and a neck that VLD does not have."""

    def __init__(self, **tower):
        super().__init__()
        self.backbone = SpatioTemporalPrompting({**TOWER, **tower}, FRAMES, START, num_heads=4)
        self.static_neck = nn.BatchNorm1d(WIDTH)


def renamed(weights, how):
    if how == 'nested':
        move = ('prompt_embedding', 'attn.', 'ln_post2')
        return {f'image_encoder.{k}' if k.startswith(move[:2]) else k: v for k, v in weights.items()}
    if how == 'module':
        return {'state_dict': {f'module.{name}': value for name, value in weights.items()}, 'epoch': 3}
    if how == 'model':
        return {'model': weights}
    if how == 'wrapped':
        return {f'net.model.{name}': value for name, value in weights.items()}
    return weights


@pytest.mark.parametrize('how', ['plain', 'nested', 'module', 'model', 'wrapped'])
def test_features_equal_vld(how, vld, tmp_path, capsys):
    source, target = tmp_path / 'vld.pth', tmp_path / 'out' / 'converted.pth'
    torch.save(renamed(vld.state_dict(), how), source)
    convert([str(source), str(target), *SIZE])
    report = capsys.readouterr().out
    for part in ("dict(type='SpatioTemporalPrompting', num_frames=3, tower=", 'Dropped', str(target)):
        assert part in report

    model = Model().eval()
    load_model_weights(model, target, allow_missing=('static_neck.',))
    inputs = torch.randn(2, FRAMES, 3, 48, 32)
    with torch.no_grad():
        found, wanted = model.backbone(inputs), vld(inputs.flatten(0, 1))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    meta = load_checkpoint(target)['meta']
    assert (meta['layout'], meta['backbone']['num_frames']) == ('vld', FRAMES)
    assert meta['tower']['activation'] == 'quick_gelu'


def test_what_is_dropped_is_said(vld, tmp_path, capsys):
    torch.save(vld.state_dict(), source := tmp_path / 'vld.pth')
    convert([str(source), str(tmp_path / 'out.pth'), *SIZE])
    report = capsys.readouterr().out
    for part in (
        'classifier (',
        'text_encoder (',
        'prompt_learner (1)',
        'ln_post2 (2)',
        'image_encoder.proj',
    ):
        assert part in report


def test_half_precision_comes_out_in_float32(vld, tmp_path):
    torch.save({k: v.half() for k, v in vld.state_dict().items()}, source := tmp_path / 'vld.pth')
    target = tmp_path / 'out.pth'
    convert([str(source), str(target), *SIZE])
    weights = load_checkpoint(target)['state_dict']
    assert {value.dtype for value in weights.values()} == {torch.float32}
    torch.testing.assert_close(weights['backbone.prompt_embedding'], vld.prompt_embedding.detach().half().float())


def test_square_grid_of_positions_is_resized(vld, tmp_path):
    weights = vld.state_dict()
    square = torch.randn(17, WIDTH)
    weights['image_encoder.positional_embedding'] = square
    torch.save(weights, source := tmp_path / 'vld.pth')
    target = tmp_path / 'out.pth'
    convert([str(source), str(target), *SIZE])
    found = load_checkpoint(target)['state_dict']['backbone.tower.positional_embedding']
    grid = square[1:].T.reshape(1, WIDTH, 4, 4)
    wanted = F.interpolate(grid, (3, 2), mode='bilinear', align_corners=False).flatten(2)[0].T
    torch.testing.assert_close(found, torch.cat([square[:1], wanted]))


def test_gelu_tower_is_refused(vld, tmp_path):
    torch.save(vld.state_dict(), source := tmp_path / 'vld.pth')
    convert([str(source), str(target := tmp_path / 'out.pth'), *SIZE])
    with pytest.raises(ConfigError, match='was trained with quick_gelu'):
        load_model_weights(Model(activation='gelu'), target, allow_missing=('static_neck.',))


def bad_weights(weights, what):
    if what == 'twice':
        weights['copy.prompt_embedding'] = weights['prompt_embedding']
    elif what == 'attention twice':
        weights['copy.attn.in_proj_weight'] = weights['attn.in_proj_weight']
    elif what == 'no prompts':
        del weights['prompt_embedding']
    elif what == 'no bias':
        del weights['attn.out_proj.bias']
    elif what == 'shape':
        weights['prompt_embedding'] = weights['prompt_embedding'][:2]
    elif what == 'adapter':
        weights['image_encoder.adapter.weight'] = torch.zeros(1)
    elif what == 'grid':
        weights['image_encoder.positional_embedding'] = torch.zeros(6, WIDTH)
    elif what == 'integers':
        weights['prompt_embedding'] = weights['prompt_embedding'].long()
    elif what == 'other':
        return {'layer1.weight': torch.zeros(1)}
    return weights


@pytest.mark.parametrize(
    ('what', 'message'),
    [
        ('twice', 'prompt_embedding is found more than once (copy.prompt_embedding, prompt_embedding)'),
        ('attention twice', 'attn.in_proj_weight is found more than once'),
        ('no prompts', 'prompt_embedding is missing'),
        ('no bias', 'missing backbone.attn.out_proj.bias'),
        ('shape', 'prompt_embedding has shape (2, 3, 128), not (2, 2, 128)'),
        ('adapter', 'unexpected backbone.tower.adapter.weight'),
        ('grid', 'positional_embedding has 6 rows'),
        ('integers', 'prompt_embedding has dtype int64, not float32'),
        ('other', 'class_embedding is missing'),
    ],
)
def test_other_checkpoints_are_refused(what, message, vld, tmp_path, capsys):
    torch.save(bad_weights(dict(vld.state_dict()), what), source := tmp_path / 'vld.pth')
    target = tmp_path / 'out.pth'
    target.write_text('old')
    refuse([str(source), str(target), *SIZE])
    error = capsys.readouterr().err
    assert message in error
    assert str(source) in error
    assert error.count('\n') == 1
    assert target.read_text() == 'old'


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f'open({str(self.path)!r}, "w")',)


def test_command_line_refuses_a_malicious_pickle(tmp_path):
    ran, target = tmp_path / 'ran', tmp_path / 'out.pth'
    (source := tmp_path / 'vld.pth').write_bytes(pickle.dumps({'state_dict': Malicious(ran)}, protocol=2))
    tool = REPOSITORY / 'tools' / 'model_converters' / 'convert_vld.py'
    result = subprocess.run(
        [sys.executable, tool, source, target],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY)},
    )
    assert result.returncode == 2
    assert result.stderr.count('\n') == 1
    assert 'refused' in result.stderr
    assert not ran.exists()
    assert not target.exists()


def test_missing_source(tmp_path, capsys):
    refuse([str(tmp_path / 'none.pth'), str(tmp_path / 'out.pth')])
    assert 'no such file' in capsys.readouterr().err
