"""Convert lists of uint8 tracklets to a normalized, augmented batch on the device."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.models.augmentation import TONES, TrackletAugmentation
from dscreid.models.tones import ToneSettings, luminance_table, translated
from dscreid.registry import MODELS


@MODELS.register_module()
class TrackletDataPreprocessor(BaseDataPreprocessor):
    """Move tracklets to the device, stack them, scale them to [0, 1], augment them (in training) and normalize them.

    Args:
        mean: Mean of each channel, in [0, 1] units (default: ImageNet's; CLIP: 0.48145466, 0.4578275, 0.40821073).
        std: Standard deviation of each channel, in [0, 1] units (CLIP: 0.26862954, 0.26130258, 0.27577711).
        augmentation: Config of a ``TrackletAugmentation`` (``type`` is optional), or None.
        non_blocking: Whether copies to the device may overlap with computation.
        tones: Keyword arguments of ``ToneSettings`` (``dict()`` for its defaults) if the tones that the target's
            infrared sensor gives to colors are learned during the adaptation, or None. They are part of the weights.
    """

    mean: Tensor
    std: Tensor
    tone_table: Tensor
    knows_tones: Tensor

    def __init__(
        self,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        augmentation: dict[str, Any] | TrackletAugmentation | None = None,
        non_blocking: bool = True,
        tones: Mapping[str, Any] | ToneSettings | None = None,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if len(mean) != 3 or not all(0 <= value <= 1 for value in mean):
            raise ConfigError(f'mean must give 3 values in [0, 1] (divide 0-255 values by 255), got {mean}')
        if len(std) != 3 or not all(0 < value <= 1 for value in std):
            raise ConfigError(f'std must give 3 values in (0, 1] (divide 0-255 values by 255), got {std}')
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)
        if isinstance(augmentation, dict):
            augmentation = MODELS.build({'type': 'TrackletAugmentation', **augmentation})
        if not (augmentation is None or callable(augmentation)):
            raise ConfigError(f'augmentation must be dict(...) or None, got {augmentation!r}')
        self.augmentation: Callable[..., Any] | None = augmentation
        self.tones = ToneSettings(**tones) if isinstance(tones, Mapping) else tones
        if self.tones is not None:
            self.register_buffer('tone_table', luminance_table())
            self.register_buffer('knows_tones', torch.tensor(False))
        elif TONES in getattr(augmentation, 'visible_views', ()):
            raise ConfigError(f'the view {TONES} needs data_preprocessor.tones=dict()')

    def normalize(self, frames: Tensor) -> Tensor:
        """Subtract the mean and divide by the standard deviation: float32 (..., 3, H, W) in [0, 1], same shape."""
        return (frames - self.mean) / self.std

    def denormalize(self, frames: Tensor) -> Tensor:
        """Undo :meth:`normalize`: float32 (..., 3, H, W), same shape, in [0, 1]."""
        return frames * self.std + self.mean

    def learn_tones(self, table: Tensor) -> None:
        """Set the tones of all colors, a table of :func:`~dscreid.models.tones.tone_table`."""
        self.tone_table.copy_(table)
        self.knows_tones.fill_(True)

    def translate(self, frames: Tensor) -> Tensor:
        """Show RGB frames, float (N, T, 3, H, W) in [0, 1], in infrared tones; as luminance while these are unknown."""
        return translated(frames, self.tone_table)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Preprocess a collated batch, with augmentation if ``training``.

        ``data`` holds ``inputs``, uint8 (N, T, 3, H, W) or a list of N uint8 tensors (T, 3, H, W), and
        ``data_samples``, N data samples (optional without augmentation). In the result, ``inputs`` is normalized
        float32 (N', T, 3, H, W), where N' counts the views.
        """
        inputs = data['inputs']
        shapes = sorted({tuple(frames.shape) for frames in inputs})
        if len(shapes) > 1:
            raise ValueError(
                f'tracklets of one batch must have one shape, got {shapes}; give all pipelines one num_frames and size'
            )
        for frames in inputs:
            if frames.dtype != torch.uint8:
                raise TypeError(f'frames must be uint8, got {frames.dtype}')
        # Tracklet by tracklet, so that copies from the pinned memory of a loader overlap with computation.
        inputs = self.cast_data(inputs)
        frames = inputs if isinstance(inputs, Tensor) else torch.stack(inputs)
        frames = frames.to(torch.float32, memory_format=torch.contiguous_format) / 255
        data_samples = data.get('data_samples')
        if not training or self.augmentation is None:
            return {'inputs': self.normalize(frames), 'data_samples': data_samples}
        translate = () if self.tones is None else (self.translate,)
        frames, data_samples = self.augmentation(frames, data_samples, self.normalize, *translate)
        return {'inputs': frames, 'data_samples': data_samples}
