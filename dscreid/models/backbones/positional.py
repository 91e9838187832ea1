"""Resize the learned positional embedding of a vision transformer."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_positional_embedding(embedding: Tensor, source: Sequence[int], target: Sequence[int]) -> Tensor:
    """Resize the grid of positions; the position of the class token is unchanged.

    Interpolation is bilinear without antialiasing, with ``align_corners=False``, as in VLD and earlier person re-ID
    methods, whose released checkpoints were trained with it. (open_clip itself uses antialiased bicubic interpolation.)

    Args:
        embedding: Floats of shape ``(1 + h * w, D)``, class position first.
        source: Grid ``(h, w)`` of ``embedding``.
        target: Grid ``(H, W)`` of the result.

    Returns:
        Floats of shape ``(1 + H * W, D)``, in the dtype of ``embedding``.

    Raises:
        ValueError: If ``embedding`` does not have ``1 + h * w`` rows.
    """
    source, target = tuple(source), tuple(target)
    if embedding.ndim != 2 or len(embedding) != 1 + source[0] * source[1]:
        raise ValueError(
            f'positional embedding of grid {source} must have {1 + source[0] * source[1]} rows, '
            f'got shape {tuple(embedding.shape)}'
        )
    if source == target:
        return embedding.clone()
    grid = embedding[1:].float().reshape(1, *source, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=target, mode='bilinear', align_corners=False)
    positions = grid.permute(0, 2, 3, 1).flatten(0, 2).to(embedding.dtype)
    return torch.cat([embedding[:1], positions])
