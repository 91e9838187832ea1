"""The tool writes a file that loads like the one it read, and refuses others."""

import importlib.util

import pytest
import torch
from safetensors.torch import save_file

from dscreid.__main__ import COMMANDS
from dscreid.errors import DscreidError
from dscreid.utils.checkpoint import load_weights, read_metadata
from dscreid.utils.shipped import locate_weights, shipped_tools

ENCODER = 'dscreid://synthetic_encoder.safetensors'


@pytest.fixture
def scale():
    path = shipped_tools() / COMMANDS['scale-residuals']
    spec = importlib.util.spec_from_file_location('scale_residuals_tool', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_a_shipped_encoder_is_scaled(scale, tmp_path, capsys):
    target = tmp_path / 'scaled.safetensors'
    scale([ENCODER, str(target), '--factor', '0.2', '--attention', '0.36'])
    before, after = load_weights(locate_weights(ENCODER)), load_weights(target)
    torch.testing.assert_close(after['ln_pre.weight'], 0.2 * before['ln_pre.weight'])
    name = 'encoder.attn.in_proj_weight'
    torch.testing.assert_close(after[name][:256], 0.6 * before[name][:256])
    assert torch.equal(after[name][256:], before[name][256:])
    metadata = read_metadata(target)
    assert metadata['note'].endswith('; scale-residuals --factor 0.2 --attention 0.36')
    assert metadata['settings'] == read_metadata(locate_weights(ENCODER))['settings']
    assert 'sha256: ' in capsys.readouterr().out


def test_what_cannot_be_scaled(scale, tmp_path):
    other = tmp_path / 'other.safetensors'
    save_file({'ln_pre.weight': torch.ones(2)}, other)
    target = str(tmp_path / 'scaled.safetensors')
    with pytest.raises(DscreidError, match='is not a file of dscreid export-tower'):
        scale([str(other), target, '--factor', '0.2'])
    with pytest.raises(DscreidError, match=r'nothing\.safetensors: pretrained weights not found'):
        scale([str(tmp_path / 'nothing.safetensors'), target, '--factor', '0.2'])
    with pytest.raises(DscreidError, match='must be positive'):
        scale([ENCODER, target, '--factor', '0'])
    with pytest.raises(DscreidError):  # never onto what is read
        scale([str(locate_weights(ENCODER)), str(locate_weights(ENCODER)), '--factor', '0.2'])
