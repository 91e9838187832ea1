"""Encoder of SDCL: a vision transformer with a shallow and a deep feature, and a patch embedding per modality."""

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from mmengine.model import BaseModule
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.modalities import check_modalities, run_by_modality
from dscreid.models.backbones.pretrained import find_weights, fit_positional_embedding
from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.registry import MODELS
from dscreid.structures import Modality
from dscreid.utils.checkpoint import in_words, list_differences, load_weights

_REMEDY = (
    'get a ViT-B/16 pre-trained on LUP by TransReID-SSL (github.com/damo-cv/TransReID-SSL): with conv_stem=True '
    "'vit_base_ics_cfs_lup', which SDCL starts from, otherwise 'vit_base_lup'"
)
#: Parts of a file that this encoder does not use.
_UNUSED = ('head', 'fc.', 'dist', 'pre_logits', 'decoder_norm.')
_STEM_CHANNELS = 64


@MODELS.register_module()
class ShallowDeepViT(BaseModule):
    """Vision transformer of SDCL (Yang et al., CVPR 2024): the shallow feature is static, the deep one dynamic.

    The last block and the final normalization exist twice. The deep copy sees the tokens after the other blocks; the
    shallow one sees the class token after them, and the patch tokens before the first block. Both return the class
    token. Frames are averaged; a single picture also has two different halves.

    Args:
        pretrained: File of TransReID-SSL with weights, or None. Loaded by ``init_weights``, not by the constructor.
        pretrained_sha256: Expected SHA-256 of the file (hexadecimal); None accepts any file.
        image_size: Height and width of the frames, multiples of ``patch_size``.
        patch_size: Side length of a patch in pixels, even with ``conv_stem``.
        width: Dimension D of the tokens, a multiple of ``heads``.
        layers: Number of blocks, at least 2.
        heads: Number of attention heads.
        conv_stem: Whether three convolutions come before the patch embedding, as in SDCL and files named ``ics``.
        drop_path: Stochastic depth of the last block; earlier blocks have less.
    """

    needs_modalities = True
    #: What the dynamic half of a single picture is, for the log.
    dynamic_half_of_a_picture = 'its deep feature, and the static half its shallow one'
    common_settings = MappingProxyType({'image_size': 'frame_size'})

    def __init__(
        self,
        pretrained: str | None = None,
        pretrained_sha256: str | None = None,
        image_size: Sequence[int] = (288, 144),
        patch_size: int = 16,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        conv_stem: bool = False,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        sides = tuple(image_size)
        fits = len(sides) == 2 and all(side > 0 and side % patch_size == 0 for side in sides)
        if layers < 2 or width % heads or not fits or (conv_stem and patch_size % 2):
            raise ConfigError(
                'ShallowDeepViT: needs layers >= 2, width as a multiple of heads, image_size as two multiples of '
                f'patch_size, and an even patch_size with conv_stem, got {layers}, {width}, {heads}, {sides} and '
                f'{patch_size}'
            )
        self.pretrained, self.pretrained_sha256 = pretrained, pretrained_sha256
        self.embed_dim, self.grid = width, (sides[0] // patch_size, sides[1] // patch_size)
        trunk: Any = VisionTransformer(
            img_size=(sides[0], sides[1]),
            patch_size=patch_size,
            embed_dim=width,
            depth=layers,
            num_heads=heads,
            num_classes=0,
            drop_path_rate=drop_path,
        )
        stem = _PatchEmbedding(width, patch_size, conv_stem)
        self.stems = nn.ModuleDict({modality.value: copy.deepcopy(stem) for modality in Modality})
        self.cls_token: nn.Parameter = trunk.cls_token
        self.pos_embed: nn.Parameter = trunk.pos_embed
        *blocks, last = trunk.blocks
        self.blocks = nn.ModuleList(blocks)
        self.deep, self.shallow = (nn.Sequential(copy.deepcopy(last), copy.deepcopy(trunk.norm)) for _ in range(2))
        self.is_init = False

    def init_weights(self) -> None:
        """Load ``pretrained`` on the first call; raises CheckpointError if the file is missing or does not fit."""
        if self.pretrained is not None and not self.is_init:
            file = find_weights(self.pretrained, self.pretrained_sha256, _REMEDY)
            weights = self._renamed(_named_as_trunk(load_weights(file)))
            if differences := list_differences(self, weights):
                raise CheckpointError(
                    f'{self.pretrained}: does not fit ShallowDeepViT ({in_words(differences)}); {_REMEDY}'
                )
            self.load_state_dict(weights)
        self.is_init = True

    def forward(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: raw static and dynamic features, float32 ``(N, D)``."""
        patches = run_by_modality(self.stems, inputs, check_modalities(self, inputs, modalities))
        first = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + self.pos_embed
        tokens = first
        for block in self.blocks:
            tokens = block(tokens)
        shallow = self.shallow(torch.cat([tokens[:, :1], first[:, 1:]], dim=1))[:, 0]
        deep = self.deep(tokens)[:, 0]
        static, dynamic = (half.float().unflatten(0, inputs.shape[:2]).mean(1) for half in (shallow, deep))
        return static, dynamic

    def _renamed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map the weights of one transformer to those of this encoder; positions are resized to its grid."""
        last = f'blocks.{len(self.blocks)}.'
        renamed: dict[str, Tensor] = {}
        for name, value in weights.items():
            if name.startswith('patch_embed.'):
                own = name.removeprefix('patch_embed.')
                renamed |= {f'stems.{modality.value}.{own}': value for modality in Modality}
            elif name.startswith(last):
                renamed |= {f'{half}.0.{name.removeprefix(last)}': value for half in ('deep', 'shallow')}
            elif name.startswith('norm.'):
                renamed |= {f'{half}.1.{name.removeprefix("norm.")}': value for half in ('deep', 'shallow')}
            elif name == 'pos_embed':
                positions = fit_positional_embedding(value[0], self.grid, str(self.pretrained), upright=True)
                renamed[name] = positions[None]
            else:
                renamed[name] = value
        return renamed


class _PatchEmbedding(nn.Module):
    """Patches of images (B, 3, H, W) as tokens (B, P, D), row by row; names are those of TransReID-SSL."""

    def __init__(self, width: int, patch_size: int, conv_stem: bool) -> None:
        super().__init__()
        channels = _STEM_CHANNELS if conv_stem else 3
        if conv_stem:
            self.conv = nn.Sequential(
                nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False), _HalfInstanceNorm(channels), nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False), _HalfInstanceNorm(channels), nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False), SynchronizedBatchNorm2d(channels), nn.ReLU(),
            )  # fmt: skip
        else:
            self.conv = nn.Sequential()
        side = patch_size // 2 if conv_stem else patch_size
        self.proj = nn.Conv2d(channels, width, side, stride=side)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(self.conv(images)).flatten(2).transpose(1, 2)


class _HalfInstanceNorm(nn.Module):
    """Instance normalization of the first half of the channels, batch normalization of the others (IBN-Net)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = channels // 2
        self.IN = nn.InstanceNorm2d(self.split, affine=True)
        self.BN = SynchronizedBatchNorm2d(channels - self.split)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([self.IN(maps[:, : self.split].contiguous()), self.BN(maps[:, self.split :].contiguous())], 1)


def _named_as_trunk(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop DINO's prefix of the transformer, and what this encoder does not use."""
    found = {name.removeprefix('backbone.'): value for name, value in weights.items()}
    return {name: value for name, value in found.items() if not name.startswith(_UNUSED)}
