"""Full precision for what would lose digits under autocast."""

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> Tensor:
    """Return float32 and float64 as they are, and lower precisions as float32."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
