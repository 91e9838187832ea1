"""IBAN's encoder and its blocks against plain formulas."""

import pytest
import torch
import torch.nn.functional as F

from dscreid.errors import ConfigError
from dscreid.models.backbones import AnaglyphResNet
from dscreid.models.backbones.anaglyph import CrossAttentionBlock, emboss
from dscreid.models.color_jitter import LUMINANCE_WEIGHTS

MODALITIES = ['rgb', 'ir', 'ir']


def values(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return AnaglyphResNet(depth=18, gem_power=1.0, num_frames=2).eval()


def test_emboss_is_the_published_filter():
    gray = torch.randint(0, 256, (2, 5, 4), generator=torch.Generator().manual_seed(0)).double()
    found = emboss(gray)
    for image, relief in zip(gray, found, strict=True):
        for y in range(5):
            for x in range(4):
                inside = y < 4 and x < 3
                expected = min(max(float(image[y + 1, x + 1] - image[y, x]) + 128, 0), 255) if inside else 0
                assert relief[y, x] == expected


def test_positions_of_all_frames_are_read_under_the_guides_queries():
    torch.manual_seed(0)
    block = CrossAttentionBlock(4).double().eval()
    maps, guide = values(0, 4, 4, 2, 3).double(), values(1, 4, 4, 2, 3).double()
    torch.testing.assert_close(block(maps, guide, 2), maps)  # a new block changes nothing
    torch.nn.init.ones_(block.norm.weight)
    found = (block(maps, guide, 2) - maps).unflatten(0, (2, 2))
    keys, reads = (layer(maps) for layer in (block.key, block.value))
    for n in range(2):
        frames = (2 * n, 2 * n + 1)
        cells = [(t, slice(None), slice(left, left + 2)) for t in frames for left in (0, 2)]  # 2x2, and 2x1 at the edge
        key, value = (torch.stack([part[t, :, y, x].amax(dim=(1, 2)) for t, y, x in cells]) for part in (keys, reads))
        for place, t in enumerate(frames):
            for y in range(2):
                for x in range(3):
                    query = block.query.weight[:, :, 0, 0] @ guide[t, :, y, x] + block.query.bias
                    weights = (key @ query).exp()
                    read = (weights[:, None] * value).sum(0) / weights.sum()
                    expected = block.output.weight[:, :, 0, 0] @ read + block.output.bias
                    torch.testing.assert_close(found[n, place, :, y, x], expected / (1 + 1e-5) ** 0.5)
    small = [part[:2].clone().requires_grad_() for part in (maps, guide)]
    assert torch.autograd.gradcheck(lambda *parts: block(*parts, 2), small)


def test_reliefs_are_those_of_the_frames_before_normalization(model):
    frames = torch.rand(1, 2, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in (model.mean, model.std))
    found = model.reliefs((frames - mean) / std) * std + mean
    gray = 255 * sum(weight * frames[:, :, c] for c, weight in enumerate(LUMINANCE_WEIGHTS))
    for channel in range(3):
        torch.testing.assert_close(255 * found[:, :, channel], emboss(gray), rtol=1e-4, atol=1e-2)


def test_frames_are_weighted_in_both_directions(model):
    frames = values(2, 3, 2, 512)
    found = model.weigh_frames(frames)
    for row in range(3):
        forward, backward = (
            memory(part)[1][0][-1, 0]
            for memory, part in zip(model.memories, (frames[row : row + 1], frames[row : row + 1, [1, 0]]), strict=True)
        )
        expected = 0
        for t, gate in enumerate(model.gates):
            x = frames[row, t]
            similarity = (F.cosine_similarity(x, forward, dim=0) + F.cosine_similarity(x, backward, dim=0)) / 2
            mixed = (gate.projection(forward) + x) / 2
            hidden = (gate.gate[0].weight @ mixed + gate.gate[0].bias).relu()
            factor = (gate.gate[2].weight @ hidden + gate.gate[2].bias).sigmoid()
            expected = expected + (1 + similarity) * (1 + factor) * x / 2
        torch.testing.assert_close(found[row], expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_halves_and_maps(model):
    frames = values(0, 3, 2, 3, 64, 32)
    parts = model.training_parts(frames, MODALITIES)
    assert model.part_widths == {'anaglyph_layer3': 256, 'anaglyph_layer4': 512}
    assert parts['anaglyph_layer3'].shape == (3, 2, 256, 4, 2)
    # the second stream reads reliefs alone, so its maps are those of a plain network
    relief = model.anaglyph(model.reliefs(frames), MODALITIES)[0]
    torch.testing.assert_close(parts['dynamic'], relief, rtol=1e-4, atol=1e-5)
    static, dynamic = model(frames, MODALITIES)
    torch.testing.assert_close(static, parts['static'])
    torch.testing.assert_close(dynamic, parts['dynamic'])
    # without what the blocks add, which is nothing yet, the first stream is a plain network, too
    plain = model.run_layers(model.run_stems(frames, MODALITIES)).mean(dim=(2, 3)).unflatten(0, (3, 2))
    torch.testing.assert_close(static, model.weigh_frames(plain), rtol=1e-4, atol=1e-5)


def test_unusable_settings_are_refused(model):
    with pytest.raises(ConfigError, match='AnaglyphResNet: needs stripes=1, gem_power=1'):
        AnaglyphResNet(depth=18)
    with pytest.raises(ValueError, match='needs 2 frames, got 1'):
        model(values(0, 1, 1, 3, 64, 32), ['rgb'])
