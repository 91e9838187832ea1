"""Resizing of a vision transformer's learned positional embedding."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_positional_embedding(embedding: Tensor, source: Sequence[int], target: Sequence[int]) -> Tensor:
    """Resize the grid of positions; the class token's position stays what it is.

    Bilinear, without antialiasing, ``align_corners=False``: the way in which VLD and the person re-ID
    methods before it bring CLIP's 14x14 positions to 18x9, and therefore the one that released
    checkpoints were trained with (open_clip itself resizes bicubic with antialiasing).

    Args:
        embedding: Floats of shape ``(1 + h * w, D)``, class position first.
        source: Grid ``(h, w)`` of ``embedding``.
        target: Grid ``(H, W)`` wanted.

    Returns:
        Floats of shape ``(1 + H * W, D)``, in the dtype of ``embedding``.

    Raises:
        ValueError: When ``embedding`` does not have ``1 + h * w`` rows.
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
