"""Color jitter of training frames, as torchvision's ``ColorJitter`` draws and applies it to single images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import ConfigError

_STREAM = 2  # of random numbers, beside those of the other augmentations
#: ITU-R BT.601, as in torchvision's grayscale and the published ChannelAug code.
LUMINANCE_WEIGHTS = (0.2989, 0.587, 0.114)
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)


@dataclass(frozen=True)
class ColorJitterPolicy:
    """Ranges of the color jitter, with the defaults of PGM, N-ULC and SDCL, and the views that it applies to."""

    brightness: float = 0.5  #: x of a factor that is uniform in [1 - x, 1 + x], in [0, 1]
    contrast: float = 0.5  #: the same for the difference from the mean gray value
    saturation: float = 0.5  #: the same for the difference from the gray frame
    hue: float = 0.5  #: largest shift of the hue as a share of the color circle, in [0, 0.5]
    visible: Sequence[int] = (1,)  #: numbers, from 0, of the visible views that are jittered
    infrared: Sequence[int] = ()  #: the same for infrared views

    def __post_init__(self) -> None:
        ranges = (self.brightness, self.contrast, self.saturation, 2 * self.hue)
        if not all(0 <= value <= 1 for value in ranges):
            raise ConfigError(
                f'color_jitter: needs brightness, contrast and saturation in [0, 1] and hue in [0, 0.5], got {self}'
            )


def draw_color_jitters(
    seeds: Sequence[int], views: Sequence[int], visible: np.ndarray, policy: ColorJitterPolicy
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the factors of n entries, float64 (n, 4), and the order of the four operations, int64 (n, 4).

    The operations are brightness, contrast, saturation and hue, in this order of columns. Entries of other views get
    factors that change nothing: 1, 1, 1 and 0.
    """
    center, spread = np.array([1, 1, 1, 0]), (policy.brightness, policy.contrast, policy.saturation, policy.hue)
    factors, order = np.tile(center.astype(float), (len(seeds), 1)), np.tile(np.arange(4), (len(seeds), 1))
    for row, (seed, view, is_visible) in enumerate(zip(seeds, views, visible, strict=True)):
        if view in (policy.visible if is_visible else policy.infrared):
            rng = np.random.default_rng([int(seed), view + 1, _STREAM])
            factors[row] = center + np.array(spread) * rng.uniform(-1, 1, 4)
            order[row] = rng.permutation(4)
    return factors, order


def color_jitter(frames: Tensor, factors: Tensor, order: np.ndarray) -> Tensor:
    """Jitter frames, float (N, T, 3, H, W) in [0, 1], by ``factors`` (N, 4) in the ``order``, int64 (N, 4), of each."""
    operations = {
        _BRIGHTNESS: lambda part, factor: (part * factor).clamp(0, 1),
        _CONTRAST: lambda part, factor: _blend(part, luminance(part).mean(dim=(-3, -2, -1), keepdim=True), factor),
        _SATURATION: lambda part, factor: _blend(part, luminance(part), factor),
        _HUE: shift_hue,
    }
    frames = frames.clone()
    for turn in range(4):
        for kind, operation in operations.items():
            members = np.flatnonzero(order[:, turn] == kind)
            if len(members):
                rows = torch.from_numpy(members).to(frames.device)
                factor = factors[rows, kind].to(frames.dtype)[:, None, None, None, None]
                frames[rows] = operation(frames[rows], factor)
    return frames


def shift_hue(frames: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of frames, float (N, T, 3, H, W) in [0, 1], by a share of the color circle, (N, 1, 1, 1, 1)."""
    red, green, blue = frames.unbind(2)
    value, low = frames.amax(2), frames.amin(2)
    chroma = value - low
    divisor = torch.where(chroma > 0, chroma, 1)
    hue = torch.where(value == red, (green - blue) / divisor, torch.where(value == green, 2 + (blue - red) / divisor,
                                                                        4 + (red - green) / divisor))  # fmt: skip
    turned = hue + 6 * shift[:, :, 0]
    parts = []
    for offset in (5, 3, 1):
        place = (offset + turned) % 6
        parts.append(value - chroma * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.stack(parts, dim=2)


def luminance(frames: Tensor) -> Tensor:
    """Compute the luminance, float (N, T, 1, H, W), of RGB frames, float (N, T, 3, H, W)."""
    red, green, blue = LUMINANCE_WEIGHTS
    return red * frames[:, :, 0:1] + green * frames[:, :, 1:2] + blue * frames[:, :, 2:3]


def _blend(frames: Tensor, others: Tensor, factor: Tensor) -> Tensor:
    return (factor * frames + (1 - factor) * others).clamp(0, 1)
