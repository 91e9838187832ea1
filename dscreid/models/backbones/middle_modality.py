"""Encoder of MMN: a middle image between the modalities for each frame of a training batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.models.backbones.modalities import check_modalities
from dscreid.models.backbones.two_stream_resnet import TwoStreamResNet
from dscreid.models.precision import full_precision
from dscreid.registry import MODELS
from dscreid.structures import Modality

#: Cells (rows, columns) to which a middle image is averaged before its distribution is compared.
_GRID = (8, 4)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class MiddleModalityResNet(TwoStreamResNet):
    """``TwoStreamResNet`` with MMN's middle modality (Zhang et al., ACM MM 2021) as a second version in training.

    Each modality has an encoder of two 1x1 convolutions, 3 to 1 to 1 channel with a ReLU between them, and both share a
    1x1 decoder to 3 channels. The middle image goes through the stem of its own modality. The part ``middle``, one row
    for each tracklet, is the mean middle image over frames, averaged to 8x4 cells. Features for retrieval come from the
    frames themselves.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.middle_encoders = nn.ModuleDict(
            {modality.value: nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU(), nn.Conv2d(1, 1, 1)) for modality in Modality}
        )
        self.middle_decoder = nn.Conv2d(1, 3, 1)

    @property
    def part_widths(self) -> dict[str, int]:
        """Width, or channels, of the parts that ``training_parts`` adds."""
        return {**super().part_widths, 'middle': 3 * _GRID[0] * _GRID[1]}

    def training_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Encode a training batch in two versions, frames and middle images, and add the part ``middle``."""
        modalities = check_modalities(self, inputs, modalities)
        middle = self.middle_images(inputs, modalities)
        parts = super().training_parts(torch.cat([inputs, middle]), [*modalities, *modalities])
        cells = F.adaptive_avg_pool2d(middle.mean(1), _GRID).flatten(1)
        return {**parts, 'middle': full_precision(cells)}

    def middle_images(self, inputs: Tensor, modalities: Sequence[str]) -> Tensor:
        """Compute the middle images of frames, float (N, T, 3, H, W), in the same shape."""
        visible = torch.tensor([Modality(name) is Modality.RGB for name in modalities], device=inputs.device)
        frames = inputs.flatten(0, 1)
        gray = [self.middle_encoders[modality.value](frames) for modality in (Modality.RGB, Modality.IR)]
        chosen = torch.where(visible.repeat_interleave(inputs.shape[1])[:, None, None, None], *gray)
        return self.middle_decoder(chosen).unflatten(0, inputs.shape[:2])
