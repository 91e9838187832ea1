"""Spatial pooling of feature maps."""

import torch
from torch import Tensor


def generalized_mean(maps: Tensor, power: float = 3.0, eps: float = 1e-12) -> Tensor:
    """Generalised-mean pooling (GeM; Radenovic et al., TPAMI 2019), with a fixed power as in AGW.

    ``(mean_x maps(x) ** power + eps) ** (1 / power)``: a power of 1 is the mean, a large one the maximum.

    Args:
        maps: float (B, C, H, W), not negative.
        power: Positive exponent.
        eps: Keeps the gradient of a channel that is zero everywhere finite.

    Returns:
        float32 (B, C), or float64 for float64 maps.
    """
    # powers of low precision lose digits
    with torch.autocast(maps.device.type, enabled=False):
        maps = maps if maps.dtype == torch.float64 else maps.float()
        return (maps.pow(power).mean(dim=(2, 3)) + eps).pow(1 / power)
