"""Attention of the prompts against a slow version on single tokens, and its picture."""

import math

import numpy as np
import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.backbones import FrameAverage, SpatioTemporalPrompting
from dscreid.models.backbones.attention_block import run_block
from dscreid.models.backbones.spatio_temporal_prompting import swap_frame_and_prompt
from dscreid.structures import Modality, Tracklet
from dscreid.visualization import compute_prompt_attention, draw_prompt_attention, save_figure
from dscreid.visualization.prompt_attention import AttendedTracklet, choose_pair

TOWER = dict(type='CLIPVisionTransformer', image_size=(16, 8), patch_size=4, width=32, layers=3, heads=2)
FRAMES = 3


def make(start_layer=1, **settings):
    torch.manual_seed(7)
    return SpatioTemporalPrompting(TOWER, num_frames=FRAMES, start_layer=start_layer, num_heads=4, **settings).eval()


@pytest.fixture
def inputs():
    return torch.randn(2, FRAMES, 3, 16, 8, generator=torch.Generator().manual_seed(3))


def weights_of_one_query(attention, query, keys):
    """Softmax over keys (K, D) for one query (D,), head by head."""
    width, heads = attention.embed_dim, attention.num_heads
    w_q, w_k, _ = attention.in_proj_weight.chunk(3)
    b_q, b_k, _ = attention.in_proj_bias.chunk(3)
    q, size, total = w_q @ query + b_q, width // heads, 0
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = torch.stack([q[part] @ (w_k @ key + b_k)[part] for key in keys]) / math.sqrt(size)
        total = total + scores.exp() / scores.exp().sum()
    return total / heads


@torch.no_grad()
def brute_force(backbone, tracklet):
    """Maps [block][frame][prompt] and shares of one tracklet (1, T, 3, H, W)."""
    tokens = backbone.tower.embed(tracklet[0])
    for block in backbone.tower.blocks[: backbone.start_layer]:
        tokens = run_block(block, tokens)
    length, prompts, maps = tokens.shape[1], backbone.prompt_embedding, []
    for block in backbone.tower.blocks[backbone.start_layer :]:
        tokens = torch.cat([tokens[:, :length], prompts], dim=1)
        normalized = block.ln_1(tokens)
        maps.append(
            [
                [
                    weights_of_one_query(block.attn, frame[length + prompt], frame)[1:length].reshape(4, 2)
                    for prompt in range(FRAMES)
                ]
                for frame in normalized
            ]
        )
        tokens = run_block(block, tokens)
        prompts = swap_frame_and_prompt(tokens[:, length:], FRAMES)
    keys = tokens[:, length:].reshape(FRAMES**2, -1)
    shares = torch.zeros(FRAMES)
    for frame in range(FRAMES):
        weights = weights_of_one_query(backbone.attn, tokens[frame, 0], keys)
        for number, weight in enumerate(weights):
            shares[number // FRAMES] += weight / FRAMES
    return torch.stack([torch.stack([torch.stack(row) for row in block]) for block in maps]), shares


@pytest.mark.parametrize('start_layer', [0, 1, 2])
def test_weights_are_those_of_single_tokens(inputs, start_layer):
    backbone = make(start_layer)
    found = compute_prompt_attention(backbone, inputs)
    assert found.patches.shape == (2, 3 - start_layer, FRAMES, FRAMES, 4, 2)
    assert found.frames.shape == (2, FRAMES)
    for row in range(2):
        maps, shares = brute_force(backbone, inputs[row : row + 1])
        torch.testing.assert_close(found.patches[row], maps, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found.frames[row], shares, rtol=1e-4, atol=1e-6)


def test_weights_are_shares(inputs):
    found = compute_prompt_attention(make(), inputs)
    assert (found.patches >= 0).all()
    assert (found.patches.sum(dim=(-2, -1)) < 1).all()
    torch.testing.assert_close(found.frames.sum(1), torch.ones(2))
    assert found.maps().shape == (2, FRAMES, 4, 2)


@pytest.mark.parametrize(('factor', 'number'), [(0.0, FRAMES**2), (1e6, 1.0)])
def test_the_number_of_prompts_lies_between_one_and_all(inputs, factor, number):
    backbone = make()
    assert (compute_prompt_attention(backbone, inputs).prompts > 1.5).all()
    with torch.no_grad():
        backbone.attn.in_proj_weight[: backbone.embed_dim] *= factor
    found = compute_prompt_attention(backbone, inputs)
    torch.testing.assert_close(found.prompts, torch.full((2,), float(number)), rtol=1e-3, atol=0)


def test_features_do_not_change_and_nothing_stays_attached(inputs):
    backbone = make()
    with torch.no_grad():
        before = backbone(inputs)
        seen = []
        backbone.register_forward_hook(lambda module, args, out: seen.append(out))
        compute_prompt_attention(backbone, inputs)
        after = backbone(inputs)
    for one, captured, again in zip(before, seen[0], after, strict=True):
        assert torch.equal(one, captured)
        assert torch.equal(one, again)
    assert not any(part._forward_hooks for part in backbone.tower.modules())


def test_hooks_are_removed_after_an_error(inputs):
    backbone = make()
    with pytest.raises(ValueError, match='inputs must be'):
        compute_prompt_attention(backbone, inputs[:, :2])
    assert not any(part._forward_hooks for part in backbone.tower.modules())


def test_encoders_without_prompts(inputs):
    backbone = FrameAverage(dict(TOWER))
    with pytest.raises(ConfigError, match='FrameAverage has no prompts; use a config whose backbone is Spatio'):
        compute_prompt_attention(backbone, inputs)


def test_picture(inputs, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 16, 8, 3), np.uint8)
    attention = compute_prompt_attention(make(), inputs)
    row = AttendedTracklet('visible', frames, attention.maps()[0].numpy(), attention.frames[0].numpy())
    other = AttendedTracklet('infrared', frames, row.maps, np.full(FRAMES, 1 / 3))
    for name in ('a.svg', 'b.svg'):
        save_figure(draw_prompt_attention([row, other], note='costs $5 and $6'), tmp_path / name)
    text = (tmp_path / 'a.svg').read_text()
    assert all(f'>{words}</text>' in text for words in ('visible', 'infrared', '33.3 %', 'costs $5 and $6'))
    assert text.count('<image') == 2 * 2 * FRAMES
    assert text == (tmp_path / 'b.svg').read_text()


def test_a_pair_shows_one_person_in_both_modalities():
    def tracklet(modality, pid):
        return Tracklet(('a.png',), Modality(modality), 1, pid)

    tracklets = [
        tracklet('rgb', 1),
        tracklet('ir', 2),
        tracklet('rgb', 3),
        tracklet('ir', 3),
        tracklet('rgb', 3),
    ]
    pairs = {tuple(choose_pair(tracklets, seed=seed)) for seed in range(10)}
    assert pairs == {(2, 3), (4, 3)}
    with pytest.raises(ConfigError, match='no visible and infrared tracklets of person 1'):
        choose_pair(tracklets, 1)
    unknown = [tracklet('ir', None), tracklet('rgb', None)]
    assert choose_pair(unknown) == [1, 0]
    assert choose_pair(unknown[:1]) == [0]
