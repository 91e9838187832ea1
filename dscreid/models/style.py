"""Random styles of training frames (SAADG): scaled and permuted channels of normalized tracklets."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import ConfigError

_STREAM = 1  # of random numbers, beside those of the other augmentations


@dataclass(frozen=True)
class StylePolicy:
    """Range of the random factors of SAADG's style augmentation."""

    low: float = 0.5  #: smallest factor, not negative
    high: float = 1.5  #: largest factor

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high < inf:
            raise ConfigError(f'style: needs 0 <= low <= high, got {self.low} and {self.high}')


def draw_styles(
    seeds: Sequence[int], views: Sequence[int], visible: np.ndarray, policy: StylePolicy
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the factors, float64 (n, 3), and the order, int64 (n, 3), of the channels of n tracklets.

    Those of a visible tracklet are random for each channel; an infrared one has one factor and keeps its order.
    """
    factors, order = np.empty((len(seeds), 3)), np.tile(np.arange(3), (len(seeds), 1))
    for row, (seed, view, is_visible) in enumerate(zip(seeds, views, visible, strict=True)):
        rng = np.random.default_rng([int(seed), view + 1, _STREAM])
        drawn = rng.uniform(policy.low, policy.high, 3)
        factors[row] = drawn if is_visible else drawn[0]
        if is_visible:
            order[row] = rng.permutation(3)
    return factors, order


def apply_styles(frames: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """Permute the channels of frames, float (N, T, 3, H, W), by ``order``, and multiply them by ``factors``."""
    permuted = frames.gather(2, order[:, None, :, None, None].expand_as(frames))
    return permuted * factors.to(frames.dtype)[:, None, :, None, None]


def swap_style(maps: Tensor, partners: Tensor, eps: float = 1e-5) -> Tensor:
    """Give maps the style of others, mean and deviation of each channel over positions (AdaIN; Huang and Belongie).

    ``maps`` are float (N, T, C, H, W), ``partners`` int64 (N,). Frame t gets the style of frame t of its partner.
    """
    mean = maps.mean(dim=(3, 4), keepdim=True)
    deviation = (maps.var(dim=(3, 4), keepdim=True, unbiased=False) + eps).sqrt()
    return (maps - mean) / deviation * deviation[partners] + mean[partners]


def style_partners(modalities: Sequence[str], across: bool) -> Tensor:
    """Draw for each tracklet another one of its own modality or, if ``across``, of the other one: int64 (N,).

    A tracklet without candidates is its own partner.
    """
    names = np.array(modalities)
    same = names[:, None] == names[None, :]
    candidates = torch.from_numpy(~same if across else same & ~np.eye(len(names), dtype=bool))
    scores = torch.rand(candidates.shape).masked_fill(~candidates, -1)
    return torch.where(candidates.any(dim=1), scores.argmax(dim=1), torch.arange(len(names)))
