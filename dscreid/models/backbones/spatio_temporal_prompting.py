"""Tracklet encoders on an image tower: spatio-temporal prompting, and the average over frames."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import torch
from mmengine.model import BaseModule
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dscreid.errors import ConfigError
from dscreid.models.backbones.attention_block import attend, run_block
from dscreid.models.backbones.pretrained import load_pretrained_encoder
from dscreid.registry import MODELS

#: Modes of ``torch.compile`` that its documentation names.
COMPILE_MODES = ('default', 'reduce-overhead', 'max-autotune', 'max-autotune-no-cudagraphs')


@MODELS.register_module()
class SpatioTemporalPrompting(BaseModule):
    """Video encoder of VLD, which DSC uses as its backbone.

    Before block ``start_layer``, ``T`` learnable prompt tokens are appended to each of the ``T`` frames. Before every
    later block, the frame and prompt axes of a tracklet's prompt tokens are swapped, so that all frames read what one
    frame wrote to its prompts. The static feature is the mean over frames of ``ln_post(class token)``. The dynamic
    feature is the attention of the ``T`` class tokens to all ``T * T`` prompt tokens, followed by the same ``ln_post``
    and the mean.

    Args:
        tower: Config of the image tower, such as ``dict(type='CLIPVisionTransformer')``.
        num_frames: Number of frames ``T`` of every tracklet.
        start_layer: Block (from 0) before which the prompt tokens are appended.
        num_heads: Number of heads of the attention that computes the dynamic feature.
        pretrained_prompts: Whether the tower's ``pretrained`` file also holds the prompts and the attention
            (``export_tower.py --encoder``). If False, they start from random weights, as in VLD.
        with_cp: Recompute the activations of each block in the backward pass, for less memory and identical results.
            ``'auto'`` lets a training choose by the free memory of its GPU; elsewhere it means False.
        compile_blocks: Run the blocks with ``torch.compile``: True, or the name of one of its modes, such as
            ``'reduce-overhead'``, which uses CUDA graphs. Compilation takes minutes for each batch size; results differ
            by rounding.
    """

    common_settings = MappingProxyType({'num_frames': 'num_frames'})
    #: If True, data sets of single pictures are refused.
    needs_motion = True

    def __init__(
        self,
        tower: dict[str, Any],
        num_frames: int = 6,
        start_layer: int = 9,
        num_heads: int = 12,
        pretrained_prompts: bool = False,
        with_cp: bool | str = False,
        compile_blocks: bool | str = False,
    ):
        super().__init__()
        self.tower = MODELS.build(tower)
        self.embed_dim = self.tower.embed_dim
        self.num_frames = num_frames
        self.start_layer = start_layer
        self.pretrained_prompts = pretrained_prompts
        self.with_cp = with_cp is True
        self._run_block = _compiled(compile_blocks)
        if not isinstance(with_cp, bool) and with_cp != 'auto':
            raise ConfigError(f"SpatioTemporalPrompting: with_cp must be True, False or 'auto', got {with_cp!r}")
        last = len(self.tower.blocks) - 1
        if not 0 <= start_layer <= last:
            raise ConfigError(
                f'SpatioTemporalPrompting: start_layer must be 0 to {last} for this tower, got {start_layer}'
            )
        if num_frames < 1 or num_heads < 1 or self.embed_dim % num_heads:
            given = f'num_frames={num_frames} and num_heads={num_heads}'
            raise ConfigError(f'SpatioTemporalPrompting: {given} must be at least 1, and heads divide {self.embed_dim}')
        # [frame, prompt, D]; N(0, 1) as in VLD
        self.prompt_embedding = nn.Parameter(torch.randn(num_frames, num_frames, self.embed_dim))
        self.attn = nn.MultiheadAttention(self.embed_dim, num_heads, batch_first=True)

    def init_weights(self) -> None:
        """Load the tower's pretrained weights on the first call, and with ``pretrained_prompts`` those of the rest."""
        load = self.pretrained_prompts and self.tower.pretrained is not None and not self.tower.is_init
        super().init_weights()
        if load:
            load_pretrained_encoder(self, self.tower.pretrained, self.tower.pretrained_sha256)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: static and dynamic features, raw float32 ``(N, D)``."""
        if inputs.ndim != 5 or inputs.shape[1] != self.num_frames:
            raise ValueError(
                f'inputs must be (N, T={self.num_frames}, 3, H, W) for this model, got {tuple(inputs.shape)}'
            )
        class_tokens, prompts = self._encode(inputs)
        return self._pool(class_tokens), self._pool(attend(self.attn, class_tokens, prompts))

    def _encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Run all blocks and return class tokens ``(N, T, D)`` and prompt tokens ``(N, T * T, D)``."""
        num_tracklets, num_frames = inputs.shape[:2]
        tokens = self.tower.embed(inputs.flatten(0, 1))  # (N * T, 1 + P, D)
        for block in self.tower.blocks[: self.start_layer]:
            tokens = self._run(block, tokens)

        length = tokens.shape[1]
        prompts = self.prompt_embedding.to(tokens.dtype).repeat(num_tracklets, 1, 1)  # (N * T, T, D)
        *blocks, last = self.tower.blocks[self.start_layer :]
        for block in blocks:
            tokens = self._run(block, torch.cat([tokens[:, :length], prompts], dim=1))
            prompts = swap_frame_and_prompt(tokens[:, length:], num_frames)
        # The patch tokens are not used after the last block.
        positions = torch.arange(length + num_frames, device=tokens.device)
        keep = torch.cat([positions[:1], positions[length:]])
        tokens = self._run(last, torch.cat([tokens[:, :length], prompts], dim=1), keep)
        # Not swapped: attention does not depend on the order of keys and values.
        return (
            tokens[:, 0].unflatten(0, (num_tracklets, num_frames)),
            tokens[:, 1:].reshape(num_tracklets, num_frames**2, -1),
        )

    def _run(self, block: ResidualAttentionBlock, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        if self.with_cp and self.training and torch.is_grad_enabled():
            return checkpoint(self._run_block, block, tokens, keep, use_reentrant=False)
        return self._run_block(block, tokens, keep)

    def _pool(self, tokens: Tensor) -> Tensor:
        """Apply ``ln_post`` and average over frames: ``(N, T, D)`` to float32 ``(N, D)``."""
        return self.tower.ln_post(tokens).float().mean(1)


def _compiled(compile_blocks: bool | str) -> Callable[..., Tensor]:
    """Return ``run_block``, compiled unless ``compile_blocks`` is False, in the mode that it names."""
    if not isinstance(compile_blocks, bool) and compile_blocks not in COMPILE_MODES:
        raise ConfigError(
            f'SpatioTemporalPrompting: compile_blocks must be True, False or one of {", ".join(COMPILE_MODES)}, got '
            f'{compile_blocks!r}'
        )
    if not compile_blocks:
        return run_block
    return torch.compile(run_block, mode=None if compile_blocks is True else compile_blocks)


def swap_frame_and_prompt(prompts: Tensor, num_frames: int) -> Tensor:
    """Swap the frame and prompt axes within each tracklet of prompt tokens ``(N * T, T, D)``."""
    return prompts.unflatten(0, (-1, num_frames)).transpose(1, 2).flatten(0, 1)


@MODELS.register_module()
class FrameAverage(BaseModule):
    """Mean of an image tower's features over any number of frames, as the static and the dynamic feature.

    Args:
        tower: Config of an image tower with an attribute ``embed_dim``, such as ``dict(type='CLIPVisionTransformer')``.
    """

    def __init__(self, tower: dict[str, Any]):
        super().__init__()
        self.tower = MODELS.build(tower)
        self.embed_dim = self.tower.embed_dim

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Encode normalized frames ``(N, T, 3, H, W)`` as twice the same ``(N, D)`` float32, not L2-normalized."""
        features = self.tower(inputs.flatten(0, 1))
        mean = features.float().unflatten(0, inputs.shape[:2]).mean(1)
        return mean, mean
