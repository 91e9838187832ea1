"""Tracklet encoder of TF-CLIP: that of CLIP-ReID, and a temporal branch in which frames exchange messages."""

from collections.abc import Sequence
from typing import Any

import torch
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.backbones.attention_block import attend, run_block
from dscreid.models.backbones.projected_clip import ProjectedCLIP, over_frames
from dscreid.registry import MODELS


class MessageDiffusion(nn.Module):
    """Temporal memory diffusion of TF-CLIP: one message token per frame attends over the frames, then joins its frame.

    Args:
        width: Dimension D of the tokens, a multiple of ``num_heads``.
        num_heads: Heads of both attentions.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.message = nn.Linear(width, width)
        self.message_norm = nn.LayerNorm(width)
        self.message_attention = nn.MultiheadAttention(width, num_heads, batch_first=True)
        self.block = ResidualAttentionBlock(width, num_heads, act_layer=QuickGELU)

    def forward(self, tokens: Tensor) -> Tensor:
        """Pass messages between the frames of tracklets, float (N, T, L, D), and add them: (N, T, L + 1, D)."""
        messages = self.message(tokens.mean(2))
        normalized = self.message_norm(messages)
        messages = messages + attend(self.message_attention, normalized, normalized)
        frames = torch.cat([tokens, messages[:, :, None]], dim=2).flatten(0, 1)
        return run_block(self.block, frames).unflatten(0, tokens.shape[:2])


@MODELS.register_module()
class TemporalMemoryCLIP(ProjectedCLIP):
    """Features of TF-CLIP (Yu et al., AAAI 2024): those of ``ProjectedCLIP``, and of a temporal branch.

    Both halves are ``[last, projected, temporal]``. The branch reads the tower's tokens without passing gradients to
    it; ``temporal`` is the mean over all tokens of all frames. A training batch also has ``frames``, the means of
    single frames, (N, T, D), and ``tokens``, the projected tokens averaged over frames, (N, L, P).

    Args:
        tower: As in ``ProjectedCLIP``.
        joint_width: As in ``ProjectedCLIP``.
        pretrained_projection: As in ``ProjectedCLIP``.
        cameras: As in ``ProjectedCLIP``.
        num_heads: Heads of the attentions of the temporal branch.
    """

    def __init__(
        self,
        tower: dict[str, Any],
        joint_width: int = 512,
        pretrained_projection: bool = True,
        cameras: int = 0,
        num_heads: int = 12,
    ) -> None:
        super().__init__(tower, joint_width, pretrained_projection, cameras)
        width = self.tower.embed_dim
        if num_heads < 1 or width % num_heads:
            raise ConfigError(f'TemporalMemoryCLIP: num_heads must divide the width {width}, got {num_heads}')
        self.segments = {**self.segments, 'temporal': width}
        self.part_widths = {'frames': width, 'tokens': joint_width}
        self.diffusion = MessageDiffusion(width, num_heads)

    def training_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Encode frames of a training batch: both halves, (N, 2 D + P), ``frames`` and ``tokens``, float32."""
        _, tokens = self.run_tower(inputs, modalities)
        projected = over_frames(tokens @ self.projection, inputs)
        frames = self.diffusion(tokens.detach().unflatten(0, inputs.shape[:2])).float().mean(2)
        static = torch.cat([over_frames(tokens[:, 0], inputs), projected[:, 0], frames.mean(1)], dim=1)
        return {'static': static, 'dynamic': static, 'frames': frames, 'tokens': projected}
