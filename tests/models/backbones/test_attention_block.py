"""The fused block against open_clip's block and PyTorch's attention module."""

import pytest
import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import nn

from dscreid.models.backbones.attention_block import attend, run_block


@pytest.fixture
def attention():
    torch.manual_seed(0)
    module = nn.MultiheadAttention(16, 4, batch_first=True)
    nn.init.normal_(module.in_proj_bias)
    return module


@pytest.fixture
def block():
    torch.manual_seed(1)
    return ResidualAttentionBlock(16, 4, ls_init_value=0.5)


def _gradients(module):
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def test_self_attention_is_that_of_the_module(attention):
    tokens = torch.randn(3, 7, 16)
    torch.testing.assert_close(
        attend(attention, tokens, tokens), attention(tokens, tokens, tokens, need_weights=False)[0]
    )


@pytest.mark.parametrize('num_queries', [1, 5])
def test_attention_of_other_queries_is_that_of_the_module(attention, num_queries):
    queries, tokens = torch.randn(3, num_queries, 16), torch.randn(3, 7, 16)
    torch.testing.assert_close(
        attend(attention, queries, tokens), attention(queries, tokens, tokens, need_weights=False)[0]
    )


def test_block_is_that_of_open_clip_with_its_gradients(block):
    tokens = torch.randn(2, 6, 16)
    block(tokens).square().sum().backward()
    expected = _gradients(block)
    block.zero_grad()
    run_block(block, tokens).square().sum().backward()
    torch.testing.assert_close(run_block(block, tokens), block(tokens))
    torch.testing.assert_close(_gradients(block), expected)


@pytest.mark.parametrize('keep', [[0], [0, 4, 5], [5, 2]])
def test_kept_tokens_are_those_of_the_whole_block_with_its_gradients(block, keep):
    tokens, keep = torch.randn(2, 6, 16), torch.tensor(keep)
    block(tokens)[:, keep].square().sum().backward()
    expected = _gradients(block)
    block.zero_grad()
    kept = run_block(block, tokens, keep)
    kept.square().sum().backward()
    torch.testing.assert_close(kept, block(tokens)[:, keep])
    torch.testing.assert_close(_gradients(block), expected)
