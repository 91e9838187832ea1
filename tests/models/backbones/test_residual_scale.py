"""Scaled tokens: the static half stays, and the logits of the attention change by the stated factor."""

import pytest
import torch

from dscreid.errors import CheckpointError
from dscreid.models.backbones import SpatioTemporalPrompting
from dscreid.models.backbones.residual_scale import scale_residuals

TOWER = dict(
    type='CLIPVisionTransformer',
    image_size=(32, 16),
    patch_size=8,
    width=32,
    layers=3,
    heads=4,
    activation='gelu',
    stem=dict(type='ConvStem', channels=(8, 16)),
)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    encoder = SpatioTemporalPrompting(TOWER, num_frames=3, start_layer=1, num_heads=2).eval()
    for name, value in encoder.named_parameters():
        if name.endswith('bias') and not name.startswith('attn.in_proj'):
            torch.nn.init.normal_(value, std=0.1)
    return encoder


def names_of(encoder):
    """Names of the weights in the encoder, and in an exported file."""
    return {
        name: name.removeprefix('tower.') if 'tower.' in name else f'encoder.{name}' for name in encoder.state_dict()
    }


def exported(encoder):
    return {new: encoder.state_dict()[name] for name, new in names_of(encoder).items()}


def load(encoder, weights):
    encoder.load_state_dict({name: weights[new] for name, new in names_of(encoder).items()})


@torch.no_grad()
def results(encoder, frames):
    class_tokens, prompts = encoder._encode(frames)
    queries, keys, _ = encoder.attn.in_proj_weight.chunk(3)
    logits = (class_tokens @ queries.T) @ (prompts @ keys.T).transpose(1, 2)
    return class_tokens, prompts, logits, encoder(frames)[0]


def test_tokens_and_logits_are_scaled_and_the_static_half_stays(encoder):
    frames = torch.randn(4, 3, 3, 32, 16)
    before, weights = results(encoder, frames), exported(encoder)
    kept = {name: value.clone() for name, value in weights.items()}
    scaled = scale_residuals(weights, 0.5, attention=0.3)
    assert all(torch.equal(weights[name], value) for name, value in kept.items())  # the argument is not changed
    assert {name: value.shape for name, value in scaled.items()} == {n: v.shape for n, v in weights.items()}
    load(encoder, scaled)
    class_tokens, prompts, logits, static = results(encoder, frames)
    for after, old, factor in ((class_tokens, before[0], 0.5), (prompts, before[1], 0.5), (logits, before[2], 0.075)):
        torch.testing.assert_close(after, factor * old, rtol=2e-3, atol=2e-3 * factor)
    torch.testing.assert_close(static, before[3], rtol=2e-3, atol=2e-3)


def test_a_factor_of_one_changes_nothing(encoder):
    weights = exported(encoder)
    scaled = scale_residuals(weights, 1.0)
    assert all(torch.equal(scaled[name], value) for name, value in weights.items())


def test_what_cannot_be_scaled(encoder):
    with pytest.raises(CheckpointError, match='there is no ln_pre'):
        scale_residuals({'conv1.weight': torch.ones(2)}, 0.5)
    for factors in ((0.0, 1.0), (0.5, -1.0)):
        with pytest.raises(ValueError, match='factors must be positive'):
            scale_residuals(exported(encoder), *factors)
