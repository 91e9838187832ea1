"""Encoder of IBAN: frames are read with the help of their relief, an image that looks alike in both modalities."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.models.backbones.temporal_gates import FrameGate
from dscreid.models.backbones.two_stream_resnet import LAYERS, TwoStreamResNet, pool_stripes
from dscreid.models.color_jitter import luminance
from dscreid.models.precision import full_precision
from dscreid.registry import MODELS


def emboss(gray: Tensor) -> Tensor:
    """Compute the relief of gray images, float (..., H, W) in [0, 255], in the same shape and range (IBAN's anaglyph).

    A pixel is 128 plus its lower right neighbor minus itself, clipped; the last row and column are 0, as published.
    """
    relief = (gray[..., 1:, 1:] - gray[..., :-1, :-1] + 128).clamp(0, 255)
    return F.pad(relief, (0, 1, 0, 1))


class CrossAttentionBlock(nn.Module):
    """Non-local block of IBAN: another stream's maps choose what maps read from themselves, over all frames.

    Keys and values are the maxima of 2x2 positions.

    Args:
        channels: Channels of both streams' maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, channels // 2, 1) for _ in range(3))
        self.output = nn.Conv2d(channels // 2, channels, 1)
        # zero, so that a new block changes nothing
        self.norm = SynchronizedBatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, maps: Tensor, guide: Tensor, num_frames: int) -> Tensor:
        """Add what maps, float (N * T, C, H, W), read under the queries of ``guide``, in the same shape."""

        def positions(part: Tensor) -> Tensor:  # (N, T * H * W, C / 2)
            return part.unflatten(0, (-1, num_frames)).transpose(1, 2).flatten(2).transpose(1, 2)

        keys, values = (F.max_pool2d(layer(maps), 2, ceil_mode=True) for layer in (self.key, self.value))
        with torch.autocast(maps.device.type, enabled=False):
            queries, keys, values = (positions(full_precision(part)) for part in (self.query(guide), keys, values))
            read = (queries @ keys.transpose(1, 2)).softmax(dim=2) @ values
        read = read.transpose(1, 2).unflatten(2, (num_frames, *maps.shape[2:])).transpose(1, 2).flatten(0, 1)
        return maps + self.norm(self.output(read))


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class AnaglyphResNet(TwoStreamResNet):
    """``TwoStreamResNet`` of IBAN (Li et al., TCSVT 2023) with a second one for the relief of each frame.

    Both streams meet in a ``CrossAttentionBlock`` after layer 3 and after layer 4. The static half is the mean over
    frames, weighted by two recurrent networks that read the frames forward and backward; the dynamic half is the mean
    of the reliefs' frame features. The relief is computed from the normalized frames, after augmentation. In training,
    the parts ``anaglyph_layer3`` and ``anaglyph_layer4``, float (N, T, C, H, W), hold maps of the second stream.
    """

    common_settings = MappingProxyType({'num_frames': 'num_frames'})

    num_frames: int = 6  #: frames of every tracklet
    mean: Sequence[float] = (0.485, 0.456, 0.406)  #: ``mean`` of the ``TrackletDataPreprocessor``
    std: Sequence[float] = (0.229, 0.224, 0.225)  #: ``std`` of the ``TrackletDataPreprocessor``

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stripes != 1 or self.kept_maps or self.gem_power != 1:
            raise ConfigError('AnaglyphResNet: needs stripes=1, gem_power=1 and no kept_maps')
        self.anaglyph = TwoStreamResNet(
            self.pretrained, self.pretrained_sha256, 1.0, self.depth, channels_last=self.channels_last
        )
        self.readers = nn.ModuleDict({layer: CrossAttentionBlock(self.channels[layer]) for layer in LAYERS[2:]})
        self.memories = nn.ModuleList(
            nn.LSTM(self.embed_dim, self.embed_dim, num_layers=2, batch_first=True) for _ in range(2)
        )
        self.gates = nn.ModuleList(FrameGate(self.embed_dim) for _ in range(self.num_frames))

    @property
    def part_widths(self) -> dict[str, int]:
        """Channels of the parts that ``training_parts`` adds."""
        return {f'anaglyph_{layer}': self.channels[layer] for layer in LAYERS[2:]}

    def init_weights(self) -> None:
        """Load ``pretrained`` on the first call, into both streams."""
        super().init_weights()
        self.anaglyph.init_weights()

    def forward(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: raw static and dynamic features, float32 ``(N, D)``."""
        parts = self.training_parts(inputs, modalities)
        return parts['static'], parts['dynamic']

    def training_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Encode frames of a training batch: ``static``, ``dynamic`` and the maps of the second stream."""
        if inputs.shape[1] != self.num_frames:
            raise ValueError(f'AnaglyphResNet needs {self.num_frames} frames, got {inputs.shape[1]}')
        maps = self.run_layers(self.run_stems(inputs, modalities), LAYERS[:2])
        relief = self.anaglyph.run_layers(self.anaglyph.run_stems(self.reliefs(inputs), modalities), LAYERS[:2])
        parts = {}
        for layer in LAYERS[2:]:
            maps, relief = self.run_layers(maps, (layer,)), self.anaglyph.run_layers(relief, (layer,))
            maps = self.readers[layer](maps, relief, self.num_frames)
            parts[f'anaglyph_{layer}'] = relief.unflatten(0, inputs.shape[:2])
        frames, reliefs = (pool_stripes(part, 1, 1.0)[:, 0].unflatten(0, inputs.shape[:2]) for part in (maps, relief))
        return {'static': self.weigh_frames(frames), 'dynamic': reliefs.mean(1), **parts}

    def reliefs(self, inputs: Tensor) -> Tensor:
        """Compute the normalized relief of normalized frames, float (N, T, 3, H, W), in the same shape."""
        mean, std = (
            torch.tensor(values, dtype=inputs.dtype).to(inputs.device, non_blocking=True).view(3, 1, 1)
            for values in (self.mean, self.std)
        )
        return (emboss(luminance(inputs * std + mean) * 255) / 255 - mean) / std

    def weigh_frames(self, frames: Tensor) -> Tensor:
        """Average frame features x_t, float (N, T, D), weighted by what was seen before and after: (N, D).

        With the last states f and b of the forward and the backward network and the gate g_t of f, this is the mean of
        ``(1 + (cos(x_t, f) + cos(x_t, b)) / 2) * (1 + g_t) * x_t``.
        """
        with torch.autocast(frames.device.type, enabled=False):
            frames = frames.to(next(self.memories.parameters()).dtype)
            seen = [
                memory(part)[0][:, -1] for memory, part in zip(self.memories, (frames, frames.flip(1)), strict=True)
            ]
            similarity = torch.stack([F.cosine_similarity(frames, state[:, None], dim=2) for state in seen]).mean(0)
            factors = torch.stack([gate(seen[0], frames[:, t]) for t, gate in enumerate(self.gates)], dim=1)
            return ((1 + similarity[:, :, None]) * (1 + factors) * frames).mean(1)
