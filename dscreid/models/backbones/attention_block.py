"""Run a transformer block with one fused attention, for all of its tokens or only for those that are read."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def attend(attention: nn.MultiheadAttention, queries: Tensor, tokens: Tensor) -> Tensor:
    """Multi-head attention of ``queries`` to ``tokens``, by PyTorch's scaled dot product.

    Equal to ``attention(queries, tokens, tokens, need_weights=False)[0]`` of a module with ``batch_first`` and
    biases, without dropout; it leaves out that module's copies between layouts.

    Args:
        attention: Module whose weights are used.
        queries: Float ``(B, Q, D)``; the same object as ``tokens`` for self-attention.
        tokens: Float ``(B, L, D)``, keys and values.

    Returns:
        Float ``(B, Q, D)``.
    """
    weight, bias, width = attention.in_proj_weight, attention.in_proj_bias, attention.embed_dim
    if queries is tokens:
        query, key, value = _heads(functional.linear(tokens, weight, bias), 3, attention.num_heads)
    else:
        (query,) = _heads(functional.linear(queries, weight[:width], bias[:width]), 1, attention.num_heads)
        key, value = _heads(functional.linear(tokens, weight[width:], bias[width:]), 2, attention.num_heads)
    gathered = functional.scaled_dot_product_attention(query, key, value)
    return attention.out_proj(gathered.transpose(1, 2).flatten(2))


def run_block(block: nn.Module, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
    """Run one residual attention block of open_clip.

    Args:
        block: ``ResidualAttentionBlock`` without cross-attention.
        tokens: Float ``(B, L, D)``.
        keep: int64 ``(Q,)``, the positions whose tokens are read afterwards, as in the last block; None for all.
            The others serve as keys and values and are spared the rest, which changes no result.

    Returns:
        Tokens after the block, ``(B, L, D)``, or ``(B, Q, D)`` those in ``keep``.
    """
    normalised = block.ln_1(tokens)
    queries = normalised
    if keep is not None:
        tokens, queries = tokens[:, keep], normalised[:, keep]
    tokens = tokens + block.ls_1(attend(block.attn, queries, normalised))
    return tokens + block.ls_2(block.mlp(block.ln_2(tokens)))


def _heads(projected: Tensor, parts: int, num_heads: int) -> tuple[Tensor, ...]:
    """``(B, L, parts * D)`` as ``parts`` tensors ``(B, heads, L, D / heads)``."""
    return torch.unbind(projected.unflatten(-1, (parts, num_heads, -1)).permute(2, 0, 3, 1, 4))
