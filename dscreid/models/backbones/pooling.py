"""Spatial pooling of feature maps."""

import torch
from torch import Tensor


def generalized_mean(maps: Tensor, power: float = 3.0, eps: float = 1e-12) -> Tensor:
    """Apply generalized-mean pooling (GeM; Radenovic et al., TPAMI 2019), with a fixed power as in AGW.

    Computes ``(mean_x maps(x) ** power + eps) ** (1 / power)``. A power of 1 gives the mean; large powers approach the
    maximum.

    Args:
        maps: float (B, C, H, W), not negative.
        power: Exponent, positive.
        eps: Keeps the gradient finite for a channel that is zero everywhere.

    Returns:
        float32 (B, C), or float64 for float64 maps.
    """
    # Powers lose digits in low precision.
    with torch.autocast(maps.device.type, enabled=False):
        maps = maps if maps.dtype == torch.float64 else maps.float()
        return (maps.pow(power).mean(dim=(2, 3)) + eps).pow(1 / power)
