"""Flip, pad-and-crop and random erasing for batches of tracklets, as pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.models.augmentation.draws import ERASE_ATTEMPTS


def flip_frames(frames: Tensor, flips: Tensor) -> Tensor:
    """Mirror frames horizontally.

    Args:
        frames: (N, T, C, H, W), any dtype.
        flips: bool (N, F), True to mirror; F is 1 (whole tracklets) or T (single frames).

    Returns:
        (N, T, C, H, W), a new tensor of the same dtype.
    """
    return torch.where(flips[:, :, None, None, None], frames.flip(-1), frames)


def crop_offsets(uniforms: np.ndarray, pad: int) -> np.ndarray:
    """Compute the corners of random crops in a padded image.

    Args:
        uniforms: float64 (..., 2) in [0, 1), uniform numbers.
        pad: Pixels of padding on each side, not negative.

    Returns:
        int64 (..., 2): (top, left), each in [0, 2 * pad]. An offset of ``pad`` does not shift the image.
    """
    return np.floor(uniforms * (2 * pad + 1)).astype(np.int64)


def crop_frames(frames: Tensor, offsets: Tensor, pad: int) -> Tensor:
    """Pad frames with zeros on all sides, then crop windows of the original size.

    Args:
        frames: (N, T, C, H, W), any dtype.
        offsets: int64 (N, F, 2), (top, left) in [0, 2 * pad]; F is 1 or T.
        pad: Pixels of padding on each side.

    Returns:
        (N, T, C, H, W) of the same dtype.
    """
    num, length, channels, height, width = frames.shape
    padded = F.pad(frames, (pad, pad, pad, pad))
    rows = offsets[:, :, 0, None] + torch.arange(height, device=frames.device)
    columns = offsets[:, :, 1, None] + torch.arange(width, device=frames.device)
    rows = rows[:, :, None, :, None].expand(num, length, channels, height, width + 2 * pad)
    columns = columns[:, :, None, None, :].expand(num, length, channels, height, width)
    return padded.gather(3, rows).gather(4, columns)


@dataclass(frozen=True)
class ErasingPolicy:
    """Settings of random erasing (Zhong et al., 2020).

    The defaults are those of the ADCA family and of VLD. The fill values are written *after* normalization, when zeros
    represent the mean color.

    Attributes:
        probability: Probability that a box is erased from a tracklet (or frame), in [0, 1].
        area: Smallest and largest fraction of the image covered by the box, in (0, 1].
        aspect: Smallest and largest ratio height / width of the box, positive.
        fill: Value written to each of the three channels.
    """

    probability: float = 0.5
    area: tuple[float, float] = (0.02, 0.4)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)
    fill: Sequence[float] = (0.4914, 0.4822, 0.4465)

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0 <= self.probability <= 1:
            raise ConfigError(f'erase.probability must lie in [0, 1], got {self.probability}')
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ConfigError(f'erase.area must be (smallest, largest) within (0, 1], got {self.area}')
        if not 0 < self.aspect[0] <= self.aspect[1] or not math.isfinite(self.aspect[1]):
            raise ConfigError(f'erase.aspect must be (smallest, largest), both positive, got {self.aspect}')
        if len(self.fill) != 3:
            raise ConfigError(f'erase.fill must give one value for each of 3 channels, got {self.fill}')


def erase_boxes(uniforms: np.ndarray, height: int, width: int, policy: ErasingPolicy) -> np.ndarray:
    """Compute the boxes to erase. The first of ``ERASE_ATTEMPTS`` boxes that fits into the image is used.

    Args:
        uniforms: float64 (..., 1 + 4 * ERASE_ATTEMPTS) in [0, 1), uniform numbers.
        height: Height H of the image in pixels.
        width: Width W of the image in pixels.
        policy: Probability and ranges.

    Returns:
        int64 (..., 4): (top, left, height, width) of the box. All are zero if nothing is erased.
    """
    attempts = uniforms[..., 1:].reshape(*uniforms.shape[:-1], ERASE_ATTEMPTS, 4)
    area = (policy.area[0] + (policy.area[1] - policy.area[0]) * attempts[..., 0]) * height * width
    aspect = policy.aspect[0] + (policy.aspect[1] - policy.aspect[0]) * attempts[..., 1]
    box_height, box_width = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (box_height > 0) & (box_width > 0) & (box_height < height) & (box_width < width)
    top = np.floor(attempts[..., 2] * (height - box_height + 1))
    left = np.floor(attempts[..., 3] * (width - box_width + 1))
    boxes = np.stack([top, left, box_height, box_width], axis=-1)
    first = fits.argmax(axis=-1)[..., None, None]
    boxes = np.take_along_axis(boxes, first, axis=-2)[..., 0, :]
    erased = fits.any(axis=-1) & (uniforms[..., 0] < policy.probability)
    return np.where(erased[..., None], boxes, 0).astype(np.int64)


def erase_frames(frames: Tensor, boxes: Tensor, fill: Sequence[float]) -> Tensor:
    """Fill a box of each frame with a constant color.

    Args:
        frames: float (N, T, C, H, W).
        boxes: int64 (N, F, 4), (top, left, height, width); F is 1 or T.
        fill: Value for each of the C channels.

    Returns:
        (N, T, C, H, W) of the same dtype.
    """
    rows = torch.arange(frames.shape[-2], device=frames.device)
    columns = torch.arange(frames.shape[-1], device=frames.device)
    top, left, height, width = (value[..., None] for value in boxes.unbind(-1))  # (N, F, 1) each
    in_rows = (rows >= top) & (rows < top + height)  # (N, F, H)
    in_columns = (columns >= left) & (columns < left + width)  # (N, F, W)
    inside = (in_rows[..., :, None] & in_columns[..., None, :])[:, :, None]  # (N, F, 1, H, W)
    color = torch.tensor(fill, dtype=frames.dtype).to(frames.device, non_blocking=True)[:, None, None]
    return torch.where(inside, color, frames)
