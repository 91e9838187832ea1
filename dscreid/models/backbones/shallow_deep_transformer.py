"""Encoder of SDCL: a shallow and a deep feature of one vision transformer."""

from collections.abc import Sequence
from functools import partial
from types import MappingProxyType

import torch
from mmengine.model import BaseModule
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.backbones.modalities import check_modalities, run_by_modality
from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.registry import MODELS

_LAYER_NORM = partial(nn.LayerNorm, eps=1e-6)


class InstanceBatchNorm(nn.Module):
    """Instance normalization of the first half of the channels, batch normalization of the others (IBN-a; Pan et al.).

    ``channels`` must be even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.instance = nn.InstanceNorm2d(channels // 2, affine=True)
        self.batch = SynchronizedBatchNorm2d(channels // 2)

    def forward(self, maps: Tensor) -> Tensor:
        """Normalize float (B, C, H, W)."""
        first, second = maps.chunk(2, dim=1)
        return torch.cat([self.instance(first), self.batch(second)], dim=1)


class ConvolutionalPatches(nn.Module):
    """Patch embedding after three convolutions (TransReID-SSL; Luo et al., 2021).

    Args:
        patch_size: Side length of a patch in pixels, even.
        width: Dimension D of the tokens.
        channels: Output channels of the convolutions, even.
    """

    def __init__(self, patch_size: int, width: int, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
            InstanceBatchNorm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            InstanceBatchNorm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            SynchronizedBatchNorm2d(channels),
            nn.ReLU(),
        )
        self.projection = nn.Conv2d(channels, width, patch_size // 2, stride=patch_size // 2)

    def forward(self, images: Tensor) -> Tensor:
        """Embed float images (B, 3, H, W) as tokens (B, P, D), row by row."""
        return self.projection(self.convolutions(images)).flatten(2).transpose(1, 2)


@MODELS.register_module()
class ShallowDeepTransformer(BaseModule):
    """Vision transformer of SDCL (Yang et al., CVPR 2024) with one patch embedding per modality, averaged over frames.

    The last block exists twice. The dynamic (in SDCL: deep) feature is the class token that one copy computes from all
    tokens of the block before. The static (shallow) feature is the one that the other copy computes from that class
    token and the patch tokens before the first block.

    Args:
        image_size: Height and width of the frames, multiples of ``patch_size``.
        patch_size: Side length of a patch in pixels, even.
        width: Dimension D of the tokens, a multiple of ``heads``.
        layers: Number of blocks, the last one included, at least 2.
        heads: Number of attention heads in each block.
        stem_channels: Channels of the convolutions before the patches, even.
    """

    common_settings = MappingProxyType({'image_size': 'frame_size'})
    #: If True, models call this encoder with the modality of each tracklet.
    needs_modalities = True

    def __init__(
        self,
        image_size: Sequence[int] = (288, 144),
        patch_size: int = 16,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        stem_channels: int = 64,
    ) -> None:
        super().__init__()
        sides = tuple(image_size)
        if len(sides) != 2 or any(side <= 0 or side % patch_size for side in sides):
            raise ConfigError(
                f'ShallowDeepTransformer: image_size={sides} must be two multiples of patch_size={patch_size}'
            )
        if layers < 2 or width % heads or patch_size % 2 or stem_channels % 2:
            given = f'layers={layers}, width={width}, heads={heads}, patch_size={patch_size}, {stem_channels=}'
            raise ConfigError(
                'ShallowDeepTransformer: needs two layers, a width that the heads divide, and an even patch_size and '
                f'stem_channels, got {given}'
            )
        self.embed_dim = width
        self.patches = nn.ModuleDict(
            {name: ConvolutionalPatches(patch_size, width, stem_channels) for name in ('rgb', 'ir')}
        )
        positions = 1 + sides[0] * sides[1] // patch_size**2
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.positional_embedding = nn.Parameter(torch.randn(positions, width) * 0.02)

        def block() -> Block:
            return Block(width, heads, qkv_bias=True, norm_layer=_LAYER_NORM)  # type: ignore[arg-type]  # callable

        self.blocks = nn.ModuleList(block() for _ in range(layers - 1))
        self.shallow = nn.Sequential(block(), _LAYER_NORM(width))
        self.deep = nn.Sequential(block(), _LAYER_NORM(width))

    def forward(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: raw static and dynamic features, float32 ``(N, D)``."""
        patches = run_by_modality(self.patches, inputs, check_modalities(self, inputs, modalities))
        embedded = torch.cat([self.class_token.expand(len(patches), -1, -1), patches], dim=1)
        embedded = embedded + self.positional_embedding
        tokens = embedded
        for block in self.blocks:
            tokens = block(tokens)
        shallow = self.shallow(torch.cat([tokens[:, :1], embedded[:, 1:]], dim=1))
        static, dynamic = (
            half[:, 0].float().unflatten(0, inputs.shape[:2]).mean(1) for half in (shallow, self.deep(tokens))
        )
        return static, dynamic
