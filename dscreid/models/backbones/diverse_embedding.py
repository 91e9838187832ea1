"""Encoder of DEEN: features of several stages combined, and diverse embeddings as versions of a tracklet."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.models.backbones.non_local import NonLocalBlock, dot_product_attention
from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.models.backbones.two_stream_resnet import LAYERS, TwoStreamResNet
from dscreid.models.precision import full_precision
from dscreid.registry import MODELS

_STEM_CHANNELS = 64
_DILATIONS = (1, 2, 3)


class ChannelNonLocalBlock(nn.Module):
    """Non-local block between channels: each channel of a map reads the channels of the map of an earlier stage.

    Args:
        channels: Channels of the maps that are changed.
        source_channels: Channels of the maps of the earlier stage.
        inner_channels: Channels between which attention is computed.
    """

    def __init__(self, channels: int, source_channels: int, inner_channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, inner_channels, 1)
        self.key = nn.Conv2d(source_channels, inner_channels, 1)
        self.value = nn.Conv2d(source_channels, inner_channels, 1)
        self.output = nn.Conv2d(inner_channels, channels, 1)
        self.norm = SynchronizedBatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, maps: Tensor, source: Tensor) -> Tensor:
        """Add to maps, float (B, C, H, W), what they read from ``source`` (B, C', H', W'), averaged to their size."""
        source = F.adaptive_avg_pool2d(source, (maps.shape[2], maps.shape[3]))
        queries, keys, values = (
            layer(given).flatten(2)  # (B, inner, H * W): channels take the place of positions
            for layer, given in ((self.query, maps), (self.key, source), (self.value, source))
        )
        with torch.autocast(maps.device.type, enabled=False):
            read = dot_product_attention(*map(full_precision, (queries, keys, values)))
        return maps + self.norm(self.output(read.unflatten(2, maps.shape[2:])))


class DilatedBranch(nn.Module):
    """One diverse embedding: the mean of three dilated 3x3 convolutions, ReLU, and a 1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.dilated = nn.ModuleList(nn.Conv2d(channels, inner, 3, padding=d, dilation=d) for d in _DILATIONS)
        self.output = nn.Conv2d(inner, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Embed maps, float (B, C, H, W), in the same shape."""
        return self.output(torch.stack([layer(maps) for layer in self.dilated]).mean(0).relu())


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class DiverseEmbeddingResNet(TwoStreamResNet):
    """``TwoStreamResNet`` of DEEN (Zhang and Wang, CVPR 2023).

    After layers 1 to 3, channels and then positions read the maps of the stage before by non-local blocks, whose keys
    have a 16th of the channels. In training, ``branches`` dilated branches embed the maps of layer 3, which are further
    versions of each tracklet. Features for retrieval come from the maps themselves.
    """

    branches: int = 2  #: number of versions in addition to the first

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = [_STEM_CHANNELS, *(self.channels[layer] for layer in LAYERS[:3])]
        sizes = [(own, source, max(own // 16, 1)) for source, own in pairwise(widths)]
        self.channel_readers = nn.ModuleList(ChannelNonLocalBlock(*size) for size in sizes)
        self.position_readers = nn.ModuleList(NonLocalBlock(*size) for size in sizes)
        self.diverse = nn.ModuleList(DilatedBranch(widths[-1]) for _ in range(self.branches))
        self.to(memory_format=self.memory_format)

    def forward(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: raw static and dynamic features, float32 ``(N, D)``."""
        return self.pool(self.run_layers(self._first_layers(inputs, modalities), LAYERS[3:]), len(inputs))

    def training_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Encode a training batch in ``1 + branches`` versions."""
        maps = self._first_layers(inputs, modalities)
        versions = torch.cat([maps, *(branch(maps) for branch in self.diverse)])
        static, dynamic = self.pool(self.run_layers(versions, LAYERS[3:]), len(inputs) * (1 + self.branches))
        return {'static': static, 'dynamic': dynamic}

    def _first_layers(self, inputs: Tensor, modalities: Sequence[str] | None) -> Tensor:
        maps = self.run_stems(inputs, modalities)
        for layer, channels, positions in zip(LAYERS[:3], self.channel_readers, self.position_readers, strict=True):
            earlier, maps = maps, self.run_layers(maps, (layer,))
            maps = positions(channels(maps, earlier), earlier)
        return maps
