"""Encoder of DDAG: weighted attention between horizontal parts of the body."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.models.backbones.two_stream_resnet import TwoStreamResNet, pool_stripes
from dscreid.models.precision import full_precision
from dscreid.registry import MODELS


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class PartAttentionResNet(TwoStreamResNet):
    """``TwoStreamResNet`` whose dynamic half has DDAG's part attention (Ye et al., ECCV 2020).

    The mean features of horizontal parts attend to each other. Their sum, with learned weights that add up to 1, is
    added to the batch-normalized static half. The normalization is one of its own: DDAG shares it with the neck.
    """

    parts: int = 3  #: number of horizontal parts

    def __post_init__(self) -> None:
        super().__post_init__()
        inner = self.embed_dim // 8
        self.part_query = nn.Linear(self.embed_dim, inner)
        self.part_key = nn.Linear(self.embed_dim, inner)
        self.part_value = nn.Linear(self.embed_dim, self.embed_dim)
        self.part_gate = nn.Parameter(torch.zeros(self.parts))
        self.part_norm = SynchronizedBatchNorm2d(self.embed_dim)

    def pool(self, maps: Tensor, num_tracklets: int) -> tuple[Tensor, Tensor]:
        """Pool the last maps of all frames, (N * T, C, H, W), to the static and the dynamic feature, (N, D) each."""
        static, _ = super().pool(maps, num_tracklets)
        parts = pool_stripes(maps, self.parts, 1.0).unflatten(0, (num_tracklets, -1)).mean(1)  # (N, parts, C)
        with torch.autocast(maps.device.type, enabled=False):
            dtype = self.part_query.weight.dtype
            weighted = self._attend(full_precision(parts).to(dtype))
            normalized = self.part_norm(static.to(dtype)[:, :, None, None])[:, :, 0, 0]
            return static, normalized + weighted

    def _attend(self, parts: Tensor) -> Tensor:
        """Let parts, float (N, parts, C), attend to each other, and sum them up: (N, C)."""
        attention = (self.part_query(parts) @ self.part_key(parts).transpose(1, 2)).softmax(dim=2)
        return torch.einsum('p,npc->nc', self.part_gate.softmax(0), attention @ self.part_value(parts))
