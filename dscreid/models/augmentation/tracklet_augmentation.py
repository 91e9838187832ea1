"""Training augmentation of a batch of tracklets on the device."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.models.augmentation import functional as fn
from dscreid.models.augmentation.functional import ErasingPolicy, JitterPolicy
from dscreid.registry import MODELS
from dscreid.structures import Modality, ReIDDataSample

Policy = TypeVar('Policy', ErasingPolicy, JitterPolicy)


@MODELS.register_module()
class TrackletAugmentation:
    """Flip, pad-and-crop, light jitter, random erasing and channel views of tracklets.

    The steps are flip, pad-and-crop, jitter, normalization, erasing and channel view, in this order, as in the released
    code of the ADCA family. Random numbers depend only on the seed of the data sample and the number of the view. A
    tracklet enters the batch once for each view of its modality: first all first views, then all second views, etc.

    Args:
        flip: Probability of a horizontal flip, in [0, 1].
        pad: Zero padding in pixels before the random crop. 0 disables the crop.
        erase: Keyword arguments of ``ErasingPolicy`` (``dict()`` for its defaults), or None for no erasing.
        visible_views: Views of visible tracklets; see ``channel_choices``.
        infrared_views: Views of infrared tracklets.
        jitter: Keyword arguments of ``JitterPolicy``, or None for no jitter.
        per_frame: Whether each frame has its own draws, as in VLD, not each tracklet.
        exchange_before_normalize: Whether to apply the channel view before normalization.

    Raises:
        ConfigError: If a value is out of range or a view is unknown.
    """

    def __init__(
        self,
        flip: float = 0.5,
        pad: int = 10,
        erase: dict[str, Any] | None = None,
        visible_views: Sequence[str] = ('plain', 'channel_exchange'),
        infrared_views: Sequence[str] = ('channel_grey',),
        jitter: dict[str, Any] | None = None,
        per_frame: bool = False,
        exchange_before_normalize: bool = False,
    ) -> None:
        if not 0 <= flip <= 1:
            raise ConfigError(f'flip must be a probability in [0, 1], got {flip}')
        if not isinstance(pad, int) or pad < 0:
            raise ConfigError(f'pad must be a whole number of pixels, not negative, got {pad}')
        self.flip = flip
        self.pad = pad
        self.erase = None if erase is None else _policy(ErasingPolicy, 'erase', erase)
        self.jitter = None if jitter is None else _policy(JitterPolicy, 'jitter', jitter)
        self.views = {
            Modality.RGB.value: _check_views('visible_views', visible_views),
            Modality.IR.value: _check_views('infrared_views', infrared_views),
        }
        self.per_frame = per_frame
        self.exchange_before_normalize = exchange_before_normalize

    def __call__(
        self,
        frames: Tensor,
        data_samples: Sequence[ReIDDataSample],
        normalize: Callable[[Tensor], Tensor] = lambda frames: frames,
    ) -> tuple[Tensor, list[ReIDDataSample]]:
        """Augment frames, float (N, T, 3, H, W) in [0, 1], of N data samples with ``seed`` and ``modality``.

        ``normalize`` is called between jitter and erasing. Returns the augmented, normalized frames (N', T, 3, H, W)
        and the N' data samples; repeated tracklets share the same object.
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
        uniforms = fn.uniform_draws([sample.seed for sample in samples], numbers, num_draws)
        visible = np.array([sample.modality == Modality.RGB.value for sample in samples])
        frames = self._move_and_light(frames[_to(np.array(positions), frames.device)], uniforms, visible)
        drawn = [
            fn.channel_choices(view, row[:1, fn.VIEW], row[None, :, fn.CHANNEL])
            for view, row in zip(views, uniforms, strict=True)
        ]
        choices = _to(np.concatenate(drawn), frames.device)
        if self.exchange_before_normalize:
            frames = fn.mix_channels(frames, choices)
        frames = normalize(frames)
        if self.erase is not None:
            boxes = fn.erase_boxes(uniforms[..., fn.ERASE], *frames.shape[-2:], self.erase)
            frames = fn.erase_frames(frames, _to(boxes, frames.device), self.erase.fill)
        return frames if self.exchange_before_normalize else fn.mix_channels(frames, choices), samples

    def _move_and_light(self, frames: Tensor, uniforms: np.ndarray, visible: np.ndarray) -> Tensor:
        device = frames.device
        if self.flip:
            frames = fn.flip_frames(frames, _to(uniforms[..., fn.FLIP] < self.flip, device))
        if self.pad:
            offsets = fn.crop_offsets(uniforms[..., fn.CROP], self.pad)
            frames = fn.crop_frames(frames, _to(offsets, device), self.pad)
        if self.jitter is not None:
            factors = fn.jitter_factors(uniforms[..., fn.JITTER], visible, self.jitter)
            frames = fn.jitter_frames(frames, _to(factors.astype(np.float32), device))
        return frames


def _to(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)


def _policy(kind: type[Policy], name: str, keywords: dict[str, Any]) -> Policy:
    known = [field.name for field in fields(kind)]
    unknown = sorted(set(keywords) - set(known))
    if unknown:
        raise ConfigError(f'TrackletAugmentation: {name} has unknown keys {unknown}; known are {known}')
    return kind(**keywords)


def _check_views(name: str, views: Sequence[str]) -> tuple[str, ...]:
    if isinstance(views, str) or not views or any(view not in fn.VIEWS for view in views):
        raise ConfigError(f'{name} must list one or more of {list(fn.VIEWS)}, got {views!r}')
    return tuple(views)
