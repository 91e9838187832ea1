"""CLIP's vision tower for non-square images, and a convolutional patch embedding for small towers."""

from collections.abc import Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import torch
from mmengine.model import BaseModule
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.backbones.attention_block import run_block
from dscreid.models.backbones.pretrained import load_pretrained_tower
from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.registry import MODELS

ACTIVATIONS = {'quick_gelu': QuickGELU, 'gelu': nn.GELU}


@MODELS.register_module()
class CLIPVisionTransformer(VisionTransformer, BaseModule):
    """Vision tower of CLIP (Radford et al., ICML 2021), based on open_clip, with the same parameter names.

    Features are taken after ``ln_post``; the projection into the joint image-text space is removed.
    :meth:`init_weights`, not the constructor, loads the pretrained weights.

    Args:
        image_size: Height and width of the images, multiples of ``patch_size``.
        patch_size: Side length of a patch in pixels.
        width: Dimension ``D`` of the tokens, a multiple of ``heads``.
        layers: Number of blocks.
        heads: Number of attention heads in each block.
        mlp_ratio: Hidden width of the MLP in each block, as a multiple of ``width``.
        activation: 'quick_gelu' (OpenAI's weights) or 'gelu' (most open_clip weights).
        stem: Config of a module that replaces the patch convolution, such as ``dict(type='ConvStem')``, or None. The
            module also receives ``width`` and ``patch_size``.
        pretrained: OpenAI's TorchScript archive (``ViT-B-16.pt``), an open_clip ``.safetensors`` or ``.bin`` file, a
            tower written by ``export_tower.py``, or None. ``dscreid://NAME`` is a file in this package's ``weights``.
        pretrained_sha256: Expected SHA-256 of the file (hexadecimal). None accepts any file.
        pretrained_activation: Activation of the file, only for open_clip files, which do not tell.
    """

    common_settings = MappingProxyType({'image_size': 'frame_size'})

    def __init__(
        self,
        image_size: Sequence[int] = (288, 144),
        patch_size: int = 16,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        activation: str = 'quick_gelu',
        stem: dict[str, Any] | None = None,
        pretrained: str | None = None,
        pretrained_sha256: str | None = None,
        pretrained_activation: str | None = None,
    ):
        image_size = tuple(image_size)
        if len(image_size) != 2 or any(side <= 0 or side % patch_size for side in image_size):
            raise ConfigError(
                f'CLIPVisionTransformer: image_size={image_size} must be two multiples of patch_size={patch_size}'
            )
        if width % heads:
            raise ConfigError(f'CLIPVisionTransformer: width={width} must be a multiple of heads={heads}')
        for name, value in (('activation', activation), ('pretrained_activation', pretrained_activation or activation)):
            if value not in ACTIVATIONS:
                raise ConfigError(f'CLIPVisionTransformer: {name} must be one of {sorted(ACTIVATIONS)}, got {value!r}')
        sizes = dict(image_size=image_size, patch_size=patch_size, width=width, layers=layers, heads=heads)
        super().__init__(**sizes, mlp_ratio=mlp_ratio, act_layer=ACTIVATIONS[activation])
        self.proj = None
        if stem is not None:
            self.conv1 = MODELS.build(dict(stem), default_args={'width': width, 'patch_size': patch_size})
        self.is_init = False
        self.embed_dim = width
        self.pretrained = pretrained
        self.pretrained_sha256 = pretrained_sha256
        self.pretrained_activation = pretrained_activation
        self.settings = sizes | {'activation': activation, 'stem': None if stem is None else dict(stem)}

    @property
    def blocks(self) -> nn.ModuleList:
        """Residual attention blocks, each mapping ``(B, L, D)`` to ``(B, L, D)``."""
        return self.transformer.resblocks

    def init_weights(self) -> None:
        """Load ``pretrained`` on the first call; raises as ``load_pretrained_tower``."""
        if self.pretrained is not None and not self.is_init:
            load_pretrained_tower(
                self, self.pretrained, sha256=self.pretrained_sha256, activation=self.pretrained_activation
            )
        self.is_init = True

    def embed(self, images: Tensor, class_offsets: Tensor | None = None) -> Tensor:
        """Convert normalized images ``(B, 3, H, W)`` to ``(B, 1 + P, D)``: class token, then patches row by row.

        ``class_offsets``, ``(B, D)``, are added to the class embedding.
        """
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, *self.image_size):
            raise ValueError(f'images must be (B, 3, *{self.image_size}), got {tuple(images.shape)}')
        if class_offsets is None:
            return self._embeds(images)
        classes = (self.class_embedding + class_offsets)[:, None]
        patches = self.conv1(images).flatten(2).transpose(1, 2)
        return self.ln_pre(torch.cat([classes.to(patches.dtype), patches], dim=1) + self.positional_embedding)

    def forward(self, images: Tensor) -> Tensor:
        """Extract the class tokens after ``ln_post``, ``(B, D)``, of normalized images ``(B, 3, H, W)``."""
        tokens = self.embed(images)
        *blocks, last = self.blocks
        for block in blocks:
            tokens = run_block(block, tokens)
        class_token = torch.zeros(1, dtype=torch.long, device=tokens.device)
        return self.ln_post(run_block(last, tokens, class_token)[:, 0])


@MODELS.register_module()
class ConvStem(nn.Module):
    """Convolutions in place of the patch convolution, for small data (Xiao et al., "Early Convolutions ...", 2021).

    Args:
        width: Number of channels of the tokens.
        patch_size: Total stride: ``2 ** len(channels)`` (the last convolution has stride 1) or twice that (stride 2).
        channels: Output channels of all convolutions except the last.
    """

    def __init__(self, width: int, patch_size: int, channels: Sequence[int] = (32, 64)):
        super().__init__()
        stride, remainder = divmod(patch_size, 2 ** len(channels))
        if remainder or stride not in (1, 2):
            strides = f'{2 ** len(channels)} or {2 ** (len(channels) + 1)}'
            raise ConfigError(
                f'ConvStem: {tuple(channels)} has a total stride of {strides}, not patch_size={patch_size}'
            )
        layers: list[nn.Module] = []
        for before, after in pairwise((3, *channels)):
            convolution = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
            layers += [convolution, SynchronizedBatchNorm2d(after), nn.GELU()]
        layers.append(nn.Conv2d((3, *channels)[-1], width, 3, stride=stride, padding=1, bias=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Embed float images ``(B, 3, H, W)`` as tokens ``(B, width, H / patch_size, W / patch_size)``."""
        return self.layers(images)
