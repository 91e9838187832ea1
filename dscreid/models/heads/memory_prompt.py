"""Sequence-specific prompt of TF-CLIP: a clip's tokens change the memory of the identities."""

import torch
from open_clip.transformer import QuickGELU
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.backbones.attention_block import attend

_HEAD_WIDTH = 64


class PromptLayer(nn.Module):
    """Decoder layer: attention between identities, attention to the clip's tokens, and an MLP, each added."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own_attention, self.cross_attention = (
            nn.MultiheadAttention(width, num_heads, batch_first=True) for _ in range(2)
        )
        self.dropout = nn.Dropout(dropout)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            QuickGELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, memory: Tensor, tokens: Tensor) -> Tensor:
        """Update the memory of each clip, float (R, C, D), from its tokens, (R, L, D)."""
        first, second, third = self.norms
        normalized = first(memory)
        memory = memory + self.dropout(attend(self.own_attention, normalized, normalized))
        memory = memory + self.dropout(attend(self.cross_attention, second(memory), tokens))
        return memory + self.mlp(third(memory))


class MemoryPrompt(nn.Module):
    """What a clip adds to the memory (Yu et al., "TF-CLIP", AAAI 2024): ``memory + alpha * decoder(memory, tokens)``.

    Args:
        width: Dimension D, a multiple of 64; attentions have one head for each 64 dimensions.
        layers: Number of decoder layers.
        alpha: Initial weight of what is added; each dimension learns its own.
        dropout: Probability of dropout, in [0, 1).
    """

    def __init__(self, width: int, layers: int = 2, alpha: float = 0.1, dropout: float = 0.1) -> None:
        super().__init__()
        if width < 1 or width % _HEAD_WIDTH or layers < 1 or not 0 <= dropout < 1:
            raise ConfigError(
                f'MemoryPrompt: needs a width that is a multiple of {_HEAD_WIDTH}, at least one layer and dropout in '
                f'[0, 1), got {width}, {layers} and {dropout}'
            )
        self.memory_in = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.tokens_in = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.LayerNorm(width))
        self.layers = nn.ModuleList(PromptLayer(width, width // _HEAD_WIDTH, dropout) for _ in range(layers))
        self.output = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        for module in self.modules():
            if isinstance(module, nn.MultiheadAttention):
                nn.init.trunc_normal_(module.in_proj_weight, std=0.02)
                module.in_proj_bias.requires_grad_(False)  # zero: the release has none
            elif isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.alpha = nn.Parameter(torch.full((width,), alpha))

    def forward(self, memory: Tensor, tokens: Tensor) -> Tensor:
        """Compute each clip's memory, float (R, C, D), from the memory, (C, D), and the clip's tokens, (R, L, D)."""
        tokens = self.tokens_in(tokens)
        added = self.memory_in(memory).expand(len(tokens), -1, -1)
        for layer in self.layers:
            added = layer(added, tokens)
        return memory + self.alpha * self.output(added)
