"""Features of many tracklets of one modality."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TrackletFeatures:
    """Row-aligned static and dynamic features.

    Attributes:
        static: float32 (N, D), one row per tracklet, L2-normalised by whoever extracted them.
        dynamic: float32 (N, D), likewise.
    """

    static: Tensor
    dynamic: Tensor

    def __post_init__(self) -> None:
        """Check that both matrices describe the same tracklets."""
        if self.static.ndim != 2 or self.static.shape != self.dynamic.shape:
            raise ValueError(
                'static and dynamic features must be matrices of one shape, got '
                f'{tuple(self.static.shape)} and {tuple(self.dynamic.shape)}'
            )

    def __len__(self) -> int:
        """Number of tracklets."""
        return len(self.static)

    def concatenated(self) -> Tensor:
        """Float32 (N, 2 D): ``[static, dynamic]``, the retrieval feature."""
        return torch.cat([self.static, self.dynamic], dim=1)
