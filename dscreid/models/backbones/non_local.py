"""Non-local block of AGW: each position of a feature map reads all others."""

import torch
from torch import Tensor, nn

from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.models.precision import full_precision


def dot_product_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Sum values by plain dot products: ``queries @ keys.T @ values / K``, as in Wang et al. (CVPR 2018).

    ``queries`` are float (B, Q, D), ``keys`` (B, K, D), ``values`` (B, K, E); the result is (B, Q, E).
    """
    return (queries @ keys.transpose(1, 2)) @ values / keys.shape[1]


class NonLocalBlock(nn.Module):
    """Non-local block in the dot-product form that AGW uses (Ye et al., TPAMI 2021).

    Args:
        channels: Channels of the maps that are changed.
        source_channels: Channels of the maps that are read; None reads the changed maps themselves.
        inner_channels: Width of queries, keys and values; None takes half of ``channels``.
    """

    def __init__(self, channels: int, source_channels: int | None = None, inner_channels: int | None = None) -> None:
        super().__init__()
        source_channels, inner_channels = source_channels or channels, inner_channels or channels // 2
        self.query = nn.Conv2d(channels, inner_channels, 1)
        self.key = nn.Conv2d(source_channels, inner_channels, 1)
        self.value = nn.Conv2d(source_channels, inner_channels, 1)
        self.output = nn.Conv2d(inner_channels, channels, 1)
        # zero, so that a new block changes nothing
        self.norm = SynchronizedBatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, maps: Tensor, source: Tensor | None = None) -> Tensor:
        """Add what the maps, float (B, C, H, W), read from themselves or from ``source`` (B, C', H', W')."""
        source = maps if source is None else source
        queries, keys, values = (
            layer(given).flatten(2).transpose(1, 2)
            for layer, given in ((self.query, maps), (self.key, source), (self.value, source))
        )
        with torch.autocast(maps.device.type, enabled=False):
            read = dot_product_attention(*map(full_precision, (queries, keys, values)))
        return maps + self.norm(self.output(read.transpose(1, 2).unflatten(2, maps.shape[2:])))
