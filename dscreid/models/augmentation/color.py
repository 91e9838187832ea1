"""Channel exchange, grayscale variants of infrared frames and light jitter for batches, as pure functions."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import ConfigError

LUMINANCE = 3  # channel choices 0, 1 and 2 copy that channel to all three
UNCHANGED = 4
LUMINANCE_WEIGHTS = (0.2989, 0.587, 0.114)  # ITU-R BT.601, as in the published ChannelAug code


class View(str, Enum):
    """Ways to change the channels of a tracklet that enters a batch; the values are the names used in configs."""

    PLAIN = 'plain'
    CHANNEL_EXCHANGE = 'channel_exchange'
    PLAIN_OR_EXCHANGE = 'plain_or_exchange'
    CHANNEL_GREY = 'channel_grey'


def channel_choices(view: View, gates: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Choose channels for tracklets that enter a batch under one view.

    * ``plain``: always unchanged.
    * ``channel_exchange``: one of the three channels, each with probability 1/3 (CAJ's ChannelExchange with gray=2).
    * ``plain_or_exchange``: unchanged or exchanged, with probability 1/2 each, decided once per tracklet (VLD).
    * ``channel_grey``: each channel with probability 1/4, luminance with 1/8, unchanged with 1/8 (CAJ's
      ChannelAdapGray).

    Args:
        view: The view.
        gates: float64 (n,) in [0, 1), uniform numbers that decide ``plain_or_exchange``.
        uniforms: float64 (n, F, 2) in [0, 1), uniform numbers.

    Returns:
        int64 (n, F): 0, 1, 2, LUMINANCE or UNCHANGED.
    """
    exchanged = np.floor(uniforms[..., 0] * 3).astype(np.int64)
    if view is View.PLAIN:
        return np.full_like(exchanged, UNCHANGED)
    if view is View.CHANNEL_EXCHANGE:
        return exchanged
    if view is View.PLAIN_OR_EXCHANGE:
        return np.where(gates[:, None] < 0.5, UNCHANGED, exchanged)
    quarter = np.floor(uniforms[..., 0] * 4).astype(np.int64)
    return np.where(quarter < 3, quarter, np.where(uniforms[..., 1] < 0.5, LUMINANCE, UNCHANGED))


def mix_channels(frames: Tensor, choices: Tensor) -> Tensor:
    """Copy one channel, or the luminance, to all three channels.

    Args:
        frames: float (N, T, 3, H, W).
        choices: int64 (N, F) as returned by ``channel_choices``; F is 1 or T.

    Returns:
        (N, T, 3, H, W) of the same dtype.
    """
    num, length, _, height, width = frames.shape
    choices = choices[:, :, None, None, None]
    picked = frames.gather(2, choices.clamp(max=2).expand(num, length, 1, height, width))
    red, green, blue = LUMINANCE_WEIGHTS
    luminance = red * frames[:, :, 0:1] + green * frames[:, :, 1:2] + blue * frames[:, :, 2:3]
    grey = torch.where(choices == LUMINANCE, luminance, picked)
    return torch.where(choices == UNCHANGED, frames, grey)


@dataclass(frozen=True)
class JitterPolicy:
    """Ranges of the light jitter. A value of 0 disables that kind of jitter.

    Attributes:
        brightness: b in [0, 1]. The factor on all channels is uniform in [1 - b, 1 + b].
        contrast: c in [0, 1]. The factor on the difference from the mean luminance is uniform in [1 - c, 1 + c].
        gamma: g, not negative. The exponent is log-uniform in [1 / (1 + g), 1 + g].
        color: d in [0, 1]. The factor on each channel is uniform in [1 - d, 1 + d]; visible tracklets only.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    color: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ('brightness', 'contrast', 'color'):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f'jitter.{name} must lie in [0, 1], got {getattr(self, name)}')
        if self.gamma < 0:
            raise ConfigError(f'jitter.gamma must not be negative, got {self.gamma}')


def jitter_factors(uniforms: np.ndarray, visible: np.ndarray, policy: JitterPolicy) -> np.ndarray:
    """Compute gains, contrast factors and exponents of the light jitter.

    Args:
        uniforms: float64 (n, F, 6) in [0, 1), uniform numbers.
        visible: bool (n,), True for visible tracklets.
        policy: Ranges of the jitter.

    Returns:
        float64 (n, F, 5): gains of the three channels (brightness and color), contrast factor, exponent.
    """
    signed = 2 * uniforms - 1
    tint = 1 + policy.color * signed[..., 3:] * visible[:, None, None]
    gains = (1 + policy.brightness * signed[..., :1]) * tint
    contrast = 1 + policy.contrast * signed[..., 1:2]
    exponent = (1 + policy.gamma) ** signed[..., 2:3]
    return np.concatenate([gains, contrast, exponent], axis=-1)


def jitter_frames(frames: Tensor, factors: Tensor) -> Tensor:
    """Apply channel gains, then contrast, then gamma, and clip the results to [0, 1].

    Args:
        frames: float (N, T, 3, H, W) in [0, 1].
        factors: (N, F, 5) as returned by ``jitter_factors``; F is 1 or T. With F = 1, contrast changes relative to
            the mean luminance of the whole tracklet, so that brightness differences between frames are preserved.

    Returns:
        (N, T, 3, H, W) of the same dtype, in [0, 1].
    """
    gains, contrast, exponent = factors.to(frames.dtype)[..., None, None].split([3, 1, 1], dim=2)
    frames = (frames * gains).clamp(0, 1)
    weights = torch.tensor(LUMINANCE_WEIGHTS, dtype=frames.dtype).to(frames.device, non_blocking=True)
    mean = (frames.mean(dim=(-2, -1)) * weights).sum(-1)  # (N, T)
    if factors.shape[1] == 1:
        mean = mean.mean(dim=1, keepdim=True)
    mean = mean[:, :, None, None, None]
    frames = ((frames - mean) * contrast + mean).clamp(0, 1)
    return frames.pow(exponent)
