"""Heads that compare clips with a memory, and the prompt by which a clip changes it, against plain formulas."""

import math

import pytest
import torch

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones import CLIPTextTransformer
from dscreid.models.heads.memory_prompt import MemoryPrompt
from dscreid.models.losses import LabeledBatch
from dscreid.models.prompt_learning import PromptLearning, learn_prompts
from dscreid.registry import MODELS

ENCODER = dict(type='CLIPTextTransformer', width=64, layers=1, activation='gelu')


def values(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(**parts):
    return LabeledBatch(parts, torch.tensor([0, 1, 2, 2]), torch.tensor([True, False, True, False]))


def build(kind, **keywords):
    torch.manual_seed(0)
    return MODELS.build({'type': kind, 'in_features': 64, 'num_classes': 3, **keywords})


class TestMemory:
    def test_it_holds_plain_means_and_is_compared_by_inner_product(self):
        head, features, labels = build('IdentityMemoryHead'), values(0, 6, 64), [2, 0, 2, 0, 0, 2]
        means = [torch.stack([row for row, own in zip(features, labels, strict=True) if own == k]) for k in (0, 2)]
        memory = head.make_memory(features, torch.tensor(labels))
        torch.testing.assert_close(memory, torch.stack([means[0].mean(0), torch.zeros(64), means[1].mean(0)]))
        own = batch(projected=values(1, 4, 64))
        with pytest.raises(ConfigError, match=r"memory is empty; add default_hooks=.*'IdentityMemoryHook'"):
            head(own)
        head.fill(memory)
        expected = [[float(row @ entry) for entry in memory] for row in own.parts['projected']]
        torch.testing.assert_close(head(own), torch.tensor(expected))

    def test_it_is_frozen_and_saved(self):
        head = build('IdentityMemoryHead')
        head.fill(values(0, 3, 64))
        assert not list(head.parameters())
        other = build('IdentityMemoryHead')
        other.load_state_dict(head.state_dict())
        assert other.is_filled
        assert torch.equal(other.memory, head.memory)


def attention(module, queries, tokens):
    """Attention of one clip without biases of queries, keys and values, in plain loops; float (1, C, D)."""
    assert not module.in_proj_bias.any()
    assert not module.in_proj_bias.requires_grad
    weights, width = module.in_proj_weight.chunk(3), module.head_dim
    q, k, v = (part[0] @ weight.T for weight, part in zip(weights, (queries, tokens, tokens), strict=True))
    rows = []
    for row in q:
        gathered = []
        for head in range(module.num_heads):
            own = slice(head * width, (head + 1) * width)
            shares = (k[:, own] @ row[own] / math.sqrt(width)).softmax(0)
            gathered.append(sum(share * value for share, value in zip(shares, v[:, own], strict=True)))
        rows.append(module.out_proj(torch.cat(gathered)))
    return torch.stack(rows)[None]


class TestPrompt:
    def test_layers_add_up(self):
        torch.manual_seed(0)
        prompt, memory, tokens = MemoryPrompt(128, alpha=0.3).eval(), values(0, 3, 128), values(1, 4, 5, 128)
        found = prompt(memory, tokens)
        assert found.shape == (4, 3, 128)
        assert len(prompt.layers) == 2
        for clip in range(4):
            read = prompt.tokens_in(tokens[clip, None])
            added = prompt.memory_in(memory[None])
            for layer in prompt.layers:
                normalized = layer.norms[0](added)
                added = added + attention(layer.own_attention, normalized, normalized)
                added = added + attention(layer.cross_attention, layer.norms[1](added), read)
                added = added + layer.mlp(layer.norms[2](added))
            expected = memory + 0.3 * prompt.output(added[0])
            torch.testing.assert_close(found[clip], expected, rtol=1e-4, atol=1e-5)

    def test_gradients(self):
        torch.manual_seed(0)
        prompt = MemoryPrompt(64, layers=1, dropout=0.0).double()
        tokens, memory, directions = (values(seed, 2, 2, 64).double() for seed in range(3))
        steps = torch.zeros(2, 1, 1, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda steps: prompt(memory[0], tokens + steps * directions)[..., :2], (steps,))

    def test_no_prompt_leaves_the_memory_alone(self):
        prompt, memory = MemoryPrompt(64, alpha=0.0), values(0, 3, 64)
        torch.testing.assert_close(prompt(memory, values(1, 4, 5, 64)), memory.expand(4, -1, -1))

    def test_each_clip_has_its_own_memory(self):
        head = build('PromptedMemoryHead', prompt=dict(alpha=0.5)).eval()
        head.fill(values(0, 3, 64))
        own = batch(projected=values(1, 4, 64), tokens=values(2, 4, 5, 64))
        assert head.reads == ('projected', 'tokens')
        found, prompted = head(own), head.prompt(head.memory, own.parts['tokens'])
        expected = [[float(own.parts['projected'][r] @ prompted[r, k]) for k in range(3)] for r in range(4)]
        torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-4)
        found.sum().backward()
        trained = [parameter for parameter in head.prompt.parameters() if parameter.requires_grad]
        assert all(parameter.grad.isfinite().all() for parameter in trained)

    @pytest.mark.parametrize('bad', [dict(layers=0), dict(dropout=1.0)])
    def test_bad_values_are_named(self, bad):
        with pytest.raises(ConfigError, match='MemoryPrompt: needs a width that is a multiple of 64'):
            MemoryPrompt(64, **bad)
        with pytest.raises(ConfigError, match=r'got 96, 2 and 0\.1'):
            MemoryPrompt(96)


class TestTexts:
    def test_the_memory_holds_learned_prompts_and_no_encoder(self):
        learning = dict(epochs=2, batch_size=4)
        head = build('TextMemoryHead', encoder=ENCODER, learning=learning)
        features, labels = values(0, 6, 64), torch.arange(6) % 3
        torch.manual_seed(9)
        before = torch.get_rng_state()
        memory = head.make_memory(features, labels, seed=7)
        assert torch.equal(torch.get_rng_state(), before)  # all numbers come from the seed
        assert torch.equal(head.make_memory(features, labels, seed=7), memory)
        assert not torch.equal(head.make_memory(features, labels, seed=8), memory)
        torch.manual_seed(7)
        encoder = CLIPTextTransformer(width=64, layers=1, activation='gelu', output_dim=64).eval()
        text = 'A photo of a X X X X person.'
        assert torch.equal(learn_prompts(encoder, text, features, labels, 3, PromptLearning(**learning)), memory)
        assert set(head.state_dict()) == {'memory', 'is_filled'}

    def test_missing_weights_are_named(self, tmp_path):
        head = build('TextMemoryHead', encoder=ENCODER | dict(pretrained=str(tmp_path / 'ViT.pt')))
        with pytest.raises(CheckpointError, match=r'ViT\.pt: pretrained weights not found; for CLIP ViT-B/16 get'):
            head.make_memory(values(0, 2, 64), torch.tensor([0, 1]))
