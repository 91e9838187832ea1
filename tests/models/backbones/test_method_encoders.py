"""Encoders of single supervised methods, and the blocks that they add to ``TwoStreamResNet``."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torchvision.models import resnet18

from dscreid.errors import ConfigError
from dscreid.models.backbones import (
    AnaglyphResNet,
    DiverseEmbeddingResNet,
    MiddleModalityResNet,
    PartAttentionResNet,
    StyleDisturbanceResNet,
    TemporalGateResNet,
    TwinEncoder,
    TwoStreamResNet,
    generalized_mean,
)
from dscreid.models.backbones.diverse_embedding import ChannelNonLocalBlock, DilatedBranch
from dscreid.models.backbones.non_local import NonLocalBlock, dot_product_attention
from dscreid.models.backbones.two_stream_resnet import pool_stripes

MODALITIES = ['rgb', 'ir', 'ir']


def values(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(kind, **keywords):
    torch.manual_seed(0)
    return kind(depth=18, **keywords)


FRAMES = values(0, 3, 2, 3, 64, 32)


class TestNonLocal:
    def test_attention_equals_plain_loops(self):
        queries, keys, read = values(0, 2, 3, 4), values(1, 2, 5, 4), values(2, 2, 5, 6)
        found = dot_product_attention(queries, keys, read)
        for b in range(2):
            for q in range(3):
                expected = sum(float(queries[b, q] @ keys[b, k]) * read[b, k] for k in range(5)) / 5
                torch.testing.assert_close(found[b, q], expected)

    @pytest.mark.parametrize('block', [NonLocalBlock(8), ChannelNonLocalBlock(8, 8, 4)])
    def test_new_blocks_change_nothing(self, block):
        maps = values(0, 2, 8, 3, 2)
        torch.testing.assert_close(block(maps, maps), maps)

    def test_positions_read_all_positions_of_the_source(self):
        torch.manual_seed(0)
        block = NonLocalBlock(4, 6, 2).double().eval()
        torch.nn.init.ones_(block.norm.weight)
        maps, source = values(0, 1, 4, 2, 2).double(), values(1, 1, 6, 3, 1).double()
        query, key, value = (
            layer(part)[0].flatten(1).T
            for layer, part in ((block.query, maps), (block.key, source), (block.value, source))
        )
        read = torch.stack([sum((q @ k) * v for k, v in zip(key, value, strict=True)) / 3 for q in query])
        expected = F.linear(read, block.output.weight[:, :, 0, 0], block.output.bias) / (1 + 1e-5) ** 0.5
        torch.testing.assert_close((block(maps, source) - maps)[0].flatten(1).T, expected)
        assert torch.autograd.gradcheck(block, (maps.requires_grad_(), source.requires_grad_()))

    def test_channels_read_channels(self):
        torch.manual_seed(0)
        block = ChannelNonLocalBlock(4, 6, 3).double().eval()
        torch.nn.init.ones_(block.norm.weight)
        maps, source = values(0, 1, 4, 2, 2).double(), values(1, 1, 6, 4, 4).double()
        small = F.avg_pool2d(source, 2)
        query, key, value = (
            layer(part)[0].flatten(1) for layer, part in ((block.query, maps), (block.key, small), (block.value, small))
        )
        read = torch.stack([sum((q @ k) * v for k, v in zip(key, value, strict=True)) / 3 for q in query])
        expected = block.norm(block.output(read[None].unflatten(2, (2, 2))))
        torch.testing.assert_close(block(maps, source) - maps, expected)

    def test_agws_places(self):
        assert set(build(TwoStreamResNet, non_local=True).non_local_blocks) == {
            'layer2_0', 'layer2_1', 'layer3_0', 'layer3_1',
        }  # fmt: skip
        with torch.device('meta'):
            deep = TwoStreamResNet(non_local=True)
        assert list(deep.non_local_blocks) == ['layer2_2', 'layer2_3', 'layer3_3', 'layer3_4', 'layer3_5']


class TestTwoStreamResNet:
    def test_stripes_are_pooled_apart(self):
        maps = values(0, 2, 5, 7, 3).abs()
        found = pool_stripes(maps, 3, 2.0)
        for number, (top, bottom) in enumerate([(0, 3), (2, 5), (4, 7)]):
            torch.testing.assert_close(found[:, number], generalized_mean(maps[:, :, top:bottom], 2.0))
        assert pool_stripes(maps[:, :, :2], 4, 1.0).isfinite().all()  # fewer rows than stripes

    @torch.no_grad()
    def test_training_parts_are_the_features_and_maps(self):
        model = build(TwoStreamResNet, kept_maps=('layer3', 'layer4'), stripes=2).eval()
        parts = model.training_parts(FRAMES, MODALITIES)
        static, dynamic = model(FRAMES, MODALITIES)
        assert static is dynamic
        assert static.shape == (3, 2 * 512)
        torch.testing.assert_close(parts['static'], static)
        assert model.part_widths == {'maps_layer3': 256, 'maps_layer4': 512}
        maps = parts['maps_layer4']
        assert maps.shape == (3, 2, 512, 4, 2)
        expected = pool_stripes(maps.flatten(0, 1), 2, 3.0).flatten(1).unflatten(0, (3, 2)).mean(1)
        torch.testing.assert_close(static, expected)

    @pytest.mark.parametrize(
        ('keywords', 'message'),
        [
            (dict(depth=101), r'depth must be one of \[18, 34, 50\], got 101'),
            (dict(stripes=0), 'stripes must be at least 1'),
            (dict(kept_maps='layer3'), 'kept_maps must list some of'),
            (dict(kept_maps=['layer5']), 'kept_maps must list some of'),
        ],
    )
    def test_bad_values_are_named(self, keywords, message):
        with pytest.raises(ConfigError, match=message):
            TwoStreamResNet(**keywords)


class TestMiddleModality:
    def test_middle_images_have_one_channel_behind_them(self):
        model = build(MiddleModalityResNet)
        middle = model.middle_images(FRAMES, MODALITIES)
        for row, modality in enumerate(MODALITIES):
            first, _, second = model.middle_encoders[modality]
            gray = F.conv2d(F.conv2d(FRAMES[row], first.weight, first.bias).relu(), second.weight, second.bias)
            expected = F.conv2d(gray, model.middle_decoder.weight, model.middle_decoder.bias)
            torch.testing.assert_close(middle[row], expected)

    def test_training_has_frames_then_middle_images(self):
        model = build(MiddleModalityResNet, stripes=4).eval()
        parts = model.training_parts(FRAMES, MODALITIES)
        assert parts['static'].shape == (6, 2048)
        assert parts['middle'].shape == (3, model.part_widths['middle'])
        torch.testing.assert_close(parts['static'][:3], model(FRAMES, MODALITIES)[0], rtol=1e-4, atol=1e-5)
        middle = model.middle_images(FRAMES, MODALITIES)
        torch.testing.assert_close(parts['static'][3:], model(middle, MODALITIES)[0], rtol=1e-4, atol=1e-5)
        cells = middle.mean(1).unflatten(2, (8, 8)).unflatten(4, (4, 8)).mean(dim=(3, 5))
        torch.testing.assert_close(parts['middle'], cells.flatten(1))
        parts['static'].sum().backward()
        assert model.middle_decoder.weight.grad.any()


class TestDiverseEmbedding:
    def test_branch_is_the_mean_of_dilated_convolutions(self):
        torch.manual_seed(0)
        branch, maps = DilatedBranch(8), values(0, 1, 8, 7, 7)
        one = sum(
            F.conv2d(maps, layer.weight, layer.bias, padding=number + 1, dilation=number + 1)
            for number, layer in enumerate(branch.dilated)
        )
        torch.testing.assert_close(branch(maps), branch.output((one / 3).relu()))

    def test_retrieval_takes_the_first_version(self):
        model = build(DiverseEmbeddingResNet, branches=2).eval()
        parts = model.training_parts(FRAMES, MODALITIES)
        assert parts['static'].shape == (9, 512)
        torch.testing.assert_close(parts['static'][:3], model(FRAMES, MODALITIES)[0], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(parts['static'][:3], parts['static'][3:6], atol=1e-2)
        parts['static'].sum().backward()
        assert all(branch.output.weight.grad.any() for branch in model.diverse)


class TestPartAttention:
    def test_dynamic_half_adds_weighted_parts(self):
        model = build(PartAttentionResNet, gem_power=1.0).eval()
        torch.nn.init.normal_(model.part_gate)
        static, dynamic = model(FRAMES, MODALITIES)
        maps = model.run_layers(model.run_stems(FRAMES, MODALITIES)).unflatten(0, (3, 2))
        gate = model.part_gate.softmax(0)
        for row in range(3):
            parts = torch.stack(
                [maps[row, :, :, top:bottom].mean(dim=(0, 2, 3)) for top, bottom in ((0, 2), (1, 3), (2, 4))]
            )
            query, key, value = model.part_query(parts), model.part_key(parts), model.part_value(parts)
            expected = static[row] / (1 + 1e-5) ** 0.5
            for p in range(3):
                weights = torch.stack([query[p] @ key[q] for q in range(3)]).exp()
                expected = expected + gate[p] * (weights[:, None] * value).sum(0) / weights.sum()
            torch.testing.assert_close(dynamic[row], expected, rtol=1e-4, atol=1e-5)


class TestTemporalGates:
    def test_gates_equal_plain_loops(self):
        model = build(TemporalGateResNet, num_frames=2).eval()
        appearance, motion = values(0, 3, 2, 512), values(1, 3, 2, 512)
        found = model.gate_frames(appearance, motion)
        for row in range(3):
            _, (state, _) = model.memory(motion[row : row + 1])
            memory, expected = state[-1, 0], 0
            for number, gate in enumerate(model.gates):
                mixed = (gate.projection(memory) + motion[row, number]) / 2
                hidden = (gate.gate[0].weight @ mixed + gate.gate[0].bias).relu()
                factor = (gate.gate[2].weight @ hidden + gate.gate[2].bias).sigmoid()
                expected = expected + factor * appearance[row, number] / 2
            torch.testing.assert_close(found[row], expected, rtol=1e-4, atol=1e-6)

    @torch.no_grad()
    def test_both_copies_of_the_last_layer_are_used(self):
        model = build(TemporalGateResNet, num_frames=2).eval()
        static, _ = model(FRAMES, MODALITIES)
        for layer in (model.layers.layer4, model.motion_layer):
            saved = copy.deepcopy(layer.state_dict())
            layer[1].bn2.bias.fill_(1.0)
            assert not torch.allclose(model(FRAMES, MODALITIES)[0], static)
            layer.load_state_dict(saved)
        with pytest.raises(ValueError, match='needs 2 frames, got 1'):
            model(FRAMES[:, :1], MODALITIES)

    def test_both_copies_start_from_the_files_weights(self, tmp_path):
        torch.manual_seed(3)
        weights = resnet18(weights=None).state_dict()
        torch.save(weights, tmp_path / 'resnet18.pth')
        model = build(TemporalGateResNet, num_frames=1, pretrained=str(tmp_path / 'resnet18.pth'))
        model.init_weights()
        for layer in (model.layers.layer4, model.motion_layer):
            assert torch.equal(layer[1].conv2.weight, weights['layer4.1.conv2.weight'])


class TestStyleDisturbance:
    def test_frames_are_pooled_by_their_generalized_mean(self):
        model = build(StyleDisturbanceResNet).eval()
        parts = model.training_parts(FRAMES, MODALITIES)
        static, _ = model(FRAMES, MODALITIES)
        torch.testing.assert_close(parts['static'], static, rtol=1e-4, atol=1e-5)
        frames = parts['frames']
        assert frames.shape == parts['disturbed_frames'].shape == (3, 2, 512)
        torch.testing.assert_close(static, (frames**3).mean(1) ** (1 / 3), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(frames, parts['disturbed_frames'], atol=1e-2)
        parts['disturbed_frames'].sum().backward()
        assert model.layers.layer1[0].conv1.weight.grad.any()

    @torch.no_grad()
    def test_a_lone_tracklet_is_disturbed_by_itself(self):
        parts = build(StyleDisturbanceResNet).eval().training_parts(FRAMES[:1], ['rgb'])
        torch.testing.assert_close(parts['disturbed_frames'], parts['frames'], rtol=1e-3, atol=1e-3)


class TestTwinEncoder:
    def test_halves_are_two_networks_and_training_mirrors_the_second(self):
        torch.manual_seed(0)
        model = TwinEncoder(dict(type='TwoStreamResNet', depth=18)).eval()
        assert model.embed_dim == 512
        (first, _), (second, _) = model.first(FRAMES, MODALITIES), model.second(FRAMES, MODALITIES)
        assert not torch.allclose(first, second, atol=1e-2)
        for found, expected in zip(model(FRAMES, MODALITIES), (first, second), strict=True):
            torch.testing.assert_close(found, expected)
        parts = model.training_parts(FRAMES, MODALITIES)
        torch.testing.assert_close(parts['static'], first)
        torch.testing.assert_close(parts['dynamic'], model.second(FRAMES.flip(-1), MODALITIES)[0])

    def test_both_load_the_files_weights(self, tmp_path):
        torch.manual_seed(3)
        weights = resnet18(weights=None).state_dict()
        torch.save(weights, tmp_path / 'resnet18.pth')
        encoder = dict(type='TwoStreamResNet', depth=18, pretrained=str(tmp_path / 'resnet18.pth'))
        model = TwinEncoder(encoder)
        model.init_weights()
        for network in (model.first, model.second):
            assert torch.equal(network.layers.layer1[0].conv1.weight, weights['layer1.0.conv1.weight'])


KINDS = [
    (TwoStreamResNet, dict(non_local=True)),
    (MiddleModalityResNet, dict(stripes=4)),
    (PartAttentionResNet, dict(gem_power=1.0)),
    (StyleDisturbanceResNet, {}),
    (TemporalGateResNet, dict(gem_power=1.0, num_frames=2)),
    (DiverseEmbeddingResNet, {}),
    (AnaglyphResNet, dict(gem_power=1.0, num_frames=2)),
]


@pytest.mark.parametrize(('kind', 'keywords'), KINDS, ids=[kind.__name__ for kind, _ in KINDS])
def test_channels_last_changes_results_by_rounding_alone(kind, keywords):
    found, layouts = [], []
    for channels_last in (False, True):
        model = build(kind, **keywords, channels_last=channels_last).eval()
        convolutions = [part for part in model.modules() if isinstance(part, torch.nn.Conv2d)]
        for part in convolutions:
            part.register_forward_pre_hook(lambda _, given: layouts.append(in_channels_last(given[0])))
        with torch.no_grad():
            found.append(model(FRAMES, MODALITIES))
    assert all(in_channels_last(part.weight) for part in convolutions)
    # additional blocks may read reshaped maps
    assert sum(layouts[len(layouts) // 2 :]) > 0.75 * len(layouts) / 2
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def in_channels_last(tensor):
    return tensor.is_contiguous(memory_format=torch.channels_last)
