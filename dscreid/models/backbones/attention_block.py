"""Run a transformer block with fused attention, for all tokens or only for those that are needed."""

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn
from torch.nn import functional


def attend(attention: nn.MultiheadAttention, queries: Tensor, tokens: Tensor) -> Tensor:
    """Compute multi-head attention from ``queries``, float (B, Q, D), to ``tokens``, float (B, L, D): float (B, Q, D).

    Equals ``attention(queries, tokens, tokens, need_weights=False)[0]`` for a module with ``batch_first`` and biases
    and without dropout, but avoids the module's copies. Pass the same object twice for self-attention.
    """
    weight, bias, width = attention.in_proj_weight, attention.in_proj_bias, attention.embed_dim
    if queries is tokens:
        query, key, value = _heads(functional.linear(tokens, weight, bias), 3, attention.num_heads)
    else:
        (query,) = _heads(functional.linear(queries, weight[:width], bias[:width]), 1, attention.num_heads)
        key, value = _heads(functional.linear(tokens, weight[width:], bias[width:]), 2, attention.num_heads)
    gathered = functional.scaled_dot_product_attention(query, key, value)
    return attention.out_proj(gathered.transpose(1, 2).flatten(2))


def run_block(block: ResidualAttentionBlock, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
    """Run one residual attention block of open_clip without cross-attention on ``tokens``, float ``(B, L, D)``.

    ``keep``, int64 ``(Q,)``, gives the positions of the tokens to compute, all by default; the others are only keys and
    values. Returns ``(B, L, D)``, or ``(B, Q, D)`` with ``keep``.
    """
    normalized = block.ln_1(tokens)
    queries = normalized
    if keep is not None:
        tokens, queries = tokens[:, keep], normalized[:, keep]
    tokens = tokens + block.ls_1(attend(block.attn, queries, normalized))
    return tokens + block.ls_2(block.mlp(block.ln_2(tokens)))


def _heads(projected: Tensor, parts: int, num_heads: int) -> tuple[Tensor, ...]:
    """Split ``(B, L, parts * D)`` into ``parts`` tensors ``(B, heads, L, D / heads)``."""
    return torch.unbind(projected.unflatten(-1, (parts, num_heads, -1)).permute(2, 0, 3, 1, 4))
