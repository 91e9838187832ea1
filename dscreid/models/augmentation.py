"""Training augmentation of a batch of tracklets on the device, from random numbers drawn on the CPU.

Frames are (N, T, C, H, W). F is 1 (one draw for a whole tracklet) or T (one draw for each frame).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.models.color_jitter import (
    LUMINANCE_WEIGHTS,
    ColorJitterPolicy,
    color_jitter,
    draw_color_jitters,
    luminance,
)
from dscreid.models.style import StylePolicy, apply_styles, draw_styles
from dscreid.registry import MODELS
from dscreid.structures import Modality, ReIDDataSample

# Positions of the uniform numbers of one draw. All are always drawn, so one augmentation does not change the others.
FLIP = 0
CROP = slice(1, 3)
VIEW = 3
CHANNEL = slice(4, 6)
JITTER = slice(6, 12)
ERASE_ATTEMPTS = 10
ERASE = slice(12, 13 + 4 * ERASE_ATTEMPTS)
NUM_UNIFORMS = ERASE.stop

TONES = 'infrared_tones'
VIEWS = ('plain', 'channel_exchange', 'plain_or_exchange', 'plain_or_luminance', 'channel_grey', TONES)
LUMINANCE = 3  # channel choices 0, 1 and 2 copy that channel to all three
UNCHANGED = 4


@MODELS.register_module()
@dataclass(eq=False)
class TrackletAugmentation:
    """Flip, pad-and-crop, light jitter, random erasing and channel views of tracklets.

    The steps are flip, pad-and-crop, jitter, normalization, erasing and channel view, in this order, as in the released
    code of the ADCA family. Random numbers depend only on the seed of the data sample and the number of the view. A
    tracklet enters the batch once for each view of its modality: first all first views, then all second views, etc.

    """

    flip: float = 0.5  #: probability of a horizontal flip, in [0, 1]
    pad: int = 10  #: zero padding in pixels before the random crop; 0 disables the crop
    erase: Any = None  #: keyword arguments of ``ErasingPolicy`` (``dict()`` for its defaults), or None for no erasing
    visible_views: Sequence[str] = ('plain', 'channel_exchange')  #: views of visible tracklets; see ``channel_choices``
    infrared_views: Sequence[str] = ('channel_grey',)  #: views of infrared tracklets
    style: Any = None  #: keyword arguments of ``StylePolicy``, or None for no random style, the last step
    jitter: Any = None  #: keyword arguments of ``JitterPolicy``, or None for no jitter
    #: keyword arguments of ``ColorJitterPolicy`` (``dict()`` for its defaults), or None; applied once per tracklet
    color_jitter: Any = None
    per_frame: bool = False  #: whether each frame has its own draws, as in VLD, not each tracklet
    exchange_before_normalize: bool = False  #: whether to apply the channel view before normalization

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            raise ConfigError(f'flip must be a probability in [0, 1], got {self.flip}')
        if not isinstance(self.pad, int) or self.pad < 0:
            raise ConfigError(f'pad must be a whole number of pixels, not negative, got {self.pad}')
        self.erase = None if self.erase is None else ErasingPolicy(**self.erase)
        self.jitter = None if self.jitter is None else JitterPolicy(**self.jitter)
        self.style = None if self.style is None else StylePolicy(**self.style)
        self.color_jitter = None if self.color_jitter is None else ColorJitterPolicy(**self.color_jitter)
        self.views = {
            Modality.RGB.value: _check_views('visible_views', self.visible_views),
            Modality.IR.value: _check_views('infrared_views', self.infrared_views),
        }

    def __call__(
        self,
        frames: Tensor,
        data_samples: Sequence[ReIDDataSample],
        normalize: Callable[[Tensor], Tensor] = lambda frames: frames,
        translate: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, list[ReIDDataSample]]:
        """Augment frames, float (N, T, 3, H, W) in [0, 1], of N data samples with ``seed`` and ``modality``.

        ``translate`` gives frames the infrared tones that the view of this name needs.
        Returns normalized frames (N', T, 3, H, W) and N' data samples; repeated tracklets share the same object.
        """
        rounds = max(len(views) for views in self.views.values())
        entries = [
            (position, number, self.views[sample.modality][number])
            for number in range(rounds)
            for position, sample in enumerate(data_samples)
            if number < len(self.views[sample.modality])
        ]
        positions, numbers, views = zip(*entries, strict=True)
        samples = [data_samples[position] for position in positions]
        num_draws = frames.shape[1] if self.per_frame else 1
        uniforms = uniform_draws([sample.seed for sample in samples], numbers, num_draws)
        visible = np.array([sample.modality == Modality.RGB.value for sample in samples])
        frames = frames[_to(np.array(positions), frames.device)]
        if TONES in views:
            frames = _translated(frames, np.array(views) == TONES, translate)
        frames = self._move_and_light(frames, uniforms, visible)
        if self.color_jitter is not None:
            seeds = [sample.seed for sample in samples]
            factors, order = draw_color_jitters(seeds, numbers, visible, self.color_jitter)
            frames = color_jitter(frames, _to(factors.astype(np.float32), frames.device), order)
        drawn = [
            channel_choices(view, row[:1, VIEW], row[None, :, CHANNEL])
            for view, row in zip(views, uniforms, strict=True)
        ]
        choices = _to(np.concatenate(drawn), frames.device)
        if self.exchange_before_normalize:
            frames = mix_channels(frames, choices)
        frames = normalize(frames)
        if self.erase is not None:
            boxes = erase_boxes(uniforms[..., ERASE], frames.shape[-2], frames.shape[-1], self.erase)
            frames = erase_frames(frames, _to(boxes, frames.device), self.erase.fill)
        frames = frames if self.exchange_before_normalize else mix_channels(frames, choices)
        if self.style is not None:
            styles = draw_styles([sample.seed for sample in samples], numbers, visible, self.style)
            frames = apply_styles(frames, *(_to(part, frames.device) for part in styles))
        return frames, samples

    def _move_and_light(self, frames: Tensor, uniforms: np.ndarray, visible: np.ndarray) -> Tensor:
        device = frames.device
        if self.flip:
            frames = flip_frames(frames, _to(uniforms[..., FLIP] < self.flip, device))
        if self.pad:
            offsets = crop_offsets(uniforms[..., CROP], self.pad)
            frames = crop_frames(frames, _to(offsets, device), self.pad)
        if self.jitter is not None:
            factors = jitter_factors(uniforms[..., JITTER], visible, self.jitter)
            frames = jitter_frames(frames, _to(factors.astype(np.float32), device))
        return frames


def _translated(frames: Tensor, chosen: np.ndarray, translate: Callable[[Tensor], Tensor] | None) -> Tensor:
    if translate is None:
        raise ConfigError(f'the view {TONES} needs data_preprocessor.tones=dict()')
    rows = _to(np.flatnonzero(chosen), frames.device)
    return frames.index_copy(0, rows, translate(frames[rows]))


def uniform_draws(seeds: Sequence[int], views: Sequence[int], num_draws: int) -> np.ndarray:
    """Draw float64 (n, num_draws, NUM_UNIFORMS) in [0, 1) from the seed and the view number (from 0) of n entries."""
    draws = np.empty((len(seeds), num_draws, NUM_UNIFORMS))
    for row, seed, view in zip(draws, seeds, views, strict=True):
        # view + 1 because NumPy pads the entropy with zeros: [seed, 0] would repeat the stream of the frame sampling.
        row[:] = np.random.default_rng([int(seed), view + 1]).random(row.shape)
    return draws


def flip_frames(frames: Tensor, flips: Tensor) -> Tensor:
    """Mirror the frames (any dtype) for which ``flips``, bool (N, F), is True."""
    return torch.where(flips[:, :, None, None, None], frames.flip(-1), frames)


def crop_offsets(uniforms: np.ndarray, pad: int) -> np.ndarray:
    """Map float64 (..., 2) in [0, 1) to crop corners (top, left), int64 in [0, 2 * pad]; ``pad`` is the center."""
    return np.floor(uniforms * (2 * pad + 1)).astype(np.int64)


def crop_frames(frames: Tensor, offsets: Tensor, pad: int) -> Tensor:
    """Pad frames (any dtype) with zeros, then crop windows of the original size at ``offsets``, int64 (N, F, 2)."""
    num, length, channels, height, width = frames.shape
    padded = F.pad(frames, (pad, pad, pad, pad))
    rows = offsets[:, :, 0, None] + torch.arange(height, device=frames.device)
    columns = offsets[:, :, 1, None] + torch.arange(width, device=frames.device)
    rows = rows[:, :, None, :, None].expand(num, length, channels, height, width + 2 * pad)
    columns = columns[:, :, None, None, :].expand(num, length, channels, height, width)
    return padded.gather(3, rows).gather(4, columns)


@dataclass(frozen=True)
class ErasingPolicy:
    """Settings of random erasing (Zhong et al., 2020), with the defaults of the ADCA family and of VLD."""

    probability: float = 0.5  #: of erasing a box from a tracklet (or frame), in [0, 1]
    area: tuple[float, float] = (0.02, 0.4)  #: smallest and largest fraction of the image, in (0, 1]
    aspect: tuple[float, float] = (0.3, 1 / 0.3)  #: smallest and largest ratio height / width, positive
    fill: Sequence[float] = (0.4914, 0.4822, 0.4465)  #: value for each channel, written *after* normalization

    def __post_init__(self) -> None:
        (smallest, largest), (low, high) = self.area, self.aspect
        usable = 0 <= self.probability <= 1 and 0 < smallest <= largest <= 1 and 0 < low <= high < math.inf
        if not usable or len(self.fill) != 3:
            raise ConfigError(
                'erase: needs probability in [0, 1], area and aspect as (smallest, largest) within (0, 1] and above 0, '
                f'and 3 values to fill, got {self}'
            )


def erase_boxes(uniforms: np.ndarray, height: int, width: int, policy: ErasingPolicy) -> np.ndarray:
    """Compute the boxes to erase, int64 (..., 4): (top, left, height, width), all zero if nothing is erased.

    ``uniforms`` is float64 (..., 1 + 4 * ERASE_ATTEMPTS) in [0, 1). The first box that fits into the image is used.
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
    """Fill the boxes, int64 (N, F, 4) as from ``erase_boxes``, of float frames with one value per channel."""
    rows = torch.arange(frames.shape[-2], device=frames.device)
    columns = torch.arange(frames.shape[-1], device=frames.device)
    top, left, height, width = (value[..., None] for value in boxes.unbind(-1))  # (N, F, 1) each
    in_rows = (rows >= top) & (rows < top + height)  # (N, F, H)
    in_columns = (columns >= left) & (columns < left + width)  # (N, F, W)
    inside = (in_rows[..., :, None] & in_columns[..., None, :])[:, :, None]  # (N, F, 1, H, W)
    color = torch.tensor(fill, dtype=frames.dtype).to(frames.device, non_blocking=True)[:, None, None]
    return torch.where(inside, color, frames)


def channel_choices(view: str, gates: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Choose channels, int64 (n, F): 0, 1, 2, LUMINANCE or UNCHANGED, for tracklets that enter a batch under one view.

    * ``plain``: always unchanged.
    * ``infrared_tones``: unchanged, because these frames already have the tones that the infrared sensor gives to
      colors, see ``TrackletDataPreprocessor`` (ours).
    * ``channel_exchange``: one of the three channels, each with probability 1/3 (CAJ's ChannelExchange with gray=2).
    * ``plain_or_exchange``: unchanged or exchanged, with probability 1/2 each, decided once per tracklet (VLD).
    * ``plain_or_luminance``: unchanged or luminance, with probability 1/2 each, decided once per tracklet (DEEN).
    * ``channel_grey``: a channel, 1/4 each, luminance 1/8, or unchanged 1/8 (CAJ's ChannelAdapGray).

    ``gates``, float64 (n,) in [0, 1), decides the views ``plain_or_...``; ``uniforms`` is float64 (n, F, 2) in [0, 1).
    """
    exchanged = np.floor(uniforms[..., 0] * 3).astype(np.int64)
    if view in ('plain', TONES):
        return np.full_like(exchanged, UNCHANGED)
    if view == 'channel_exchange':
        return exchanged
    if view == 'plain_or_exchange':
        return np.where(gates[:, None] < 0.5, UNCHANGED, exchanged)
    if view == 'plain_or_luminance':
        return np.where(gates[:, None] < 0.5, UNCHANGED, np.full_like(exchanged, LUMINANCE))
    quarter = np.floor(uniforms[..., 0] * 4).astype(np.int64)
    return np.where(quarter < 3, quarter, np.where(uniforms[..., 1] < 0.5, LUMINANCE, UNCHANGED))


def mix_channels(frames: Tensor, choices: Tensor) -> Tensor:
    """Copy one channel, or the luminance, of float RGB frames to all channels by ``choices``, int64 (N, F)."""
    num, length, _, height, width = frames.shape
    choices = choices[:, :, None, None, None]
    picked = frames.gather(2, choices.clamp(max=2).expand(num, length, 1, height, width))
    gray = torch.where(choices == LUMINANCE, luminance(frames), picked)
    return torch.where(choices == UNCHANGED, frames, gray)


@dataclass(frozen=True)
class JitterPolicy:
    """Ranges of the light jitter: factors are uniform in [1 - x, 1 + x] for a value x in [0, 1]; 0 disables them."""

    brightness: float = 0.0  #: of the factor on all channels
    contrast: float = 0.0  #: of the factor on the difference from the mean luminance
    gamma: float = 0.0  #: g, not negative. The exponent is log-uniform in [1 / (1 + g), 1 + g].
    color: float = 0.0  #: of the factor on each channel; visible tracklets only

    def __post_init__(self) -> None:
        for name, largest in (('brightness', 1), ('contrast', 1), ('color', 1), ('gamma', math.inf)):
            if not 0 <= getattr(self, name) <= largest:
                raise ConfigError(f'jitter.{name} must lie in [0, {largest}], got {getattr(self, name)}')


def jitter_factors(uniforms: np.ndarray, visible: np.ndarray, policy: JitterPolicy) -> np.ndarray:
    """Compute the light jitter, float64 (n, F, 5): gains of the three channels, contrast factor, exponent.

    ``uniforms`` is float64 (n, F, 6) in [0, 1); ``visible``, bool (n,), is True for visible tracklets.
    """
    signed = 2 * uniforms - 1
    tint = 1 + policy.color * signed[..., 3:] * visible[:, None, None]
    gains = (1 + policy.brightness * signed[..., :1]) * tint
    contrast = 1 + policy.contrast * signed[..., 1:2]
    exponent = (1 + policy.gamma) ** signed[..., 2:3]
    return np.concatenate([gains, contrast, exponent], axis=-1)


def jitter_frames(frames: Tensor, factors: Tensor) -> Tensor:
    """Apply channel gains, then contrast, then gamma to float frames in [0, 1], and clip the results to [0, 1].

    With one factor per tracklet, (N, 1, 5), contrast is relative to the mean luminance of the whole tracklet.
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


def _to(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)


def _check_views(name: str, views: Sequence[str]) -> tuple[str, ...]:
    if isinstance(views, str) or not views or any(view not in VIEWS for view in views):
        raise ConfigError(f'{name} must list one or more of {list(VIEWS)}, got {views!r}')
    return tuple(views)
