"""Features of many tracklets of one modality."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TrackletFeatures:
    """Row-aligned static and dynamic features; raw ones (``retrieval='raw'``) are not L2-normalized.

    Attributes:
        static: float32 (N, D), one row per tracklet.
        dynamic: float32 (N, D), one row per tracklet.
    """

    static: Tensor
    dynamic: Tensor

    def __post_init__(self) -> None:
        if self.static.ndim != 2 or self.static.shape != self.dynamic.shape:
            raise ValueError(
                'static and dynamic features must be matrices of one shape, got '
                f'{tuple(self.static.shape)} and {tuple(self.dynamic.shape)}'
            )

    def __len__(self) -> int:
        """Number of tracklets."""
        return len(self.static)

    def concatenated(self) -> Tensor:
        """Concatenate ``[static, dynamic]`` into the retrieval feature, float32 (N, 2 D)."""
        return torch.cat([self.static, self.dynamic], dim=1)
