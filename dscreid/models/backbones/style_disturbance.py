"""Encoder of SAADG: in training, each frame also with the styles of other tracklets."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.models.backbones.modalities import check_modalities
from dscreid.models.backbones.two_stream_resnet import LAYERS, TwoStreamResNet, pool_stripes
from dscreid.models.precision import full_precision
from dscreid.models.style import style_partners, swap_style
from dscreid.registry import MODELS
from dscreid.structures import Modality


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class StyleDisturbanceResNet(TwoStreamResNet):
    """``TwoStreamResNet`` of SAADG (Zhou et al., ACM MM 2023) with GeM over frames, too.

    In training, the parts ``frames`` and ``disturbed_frames``, float (N, T, D), hold frame features. The maps of the
    latter got the style of another tracklet of their own modality after layer 2, and of the other one after layer 3.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stripes != 1 or self.kept_maps:
            raise ConfigError('StyleDisturbanceResNet: needs stripes=1 and no kept_maps')

    @property
    def part_widths(self) -> dict[str, int]:
        """Width of the parts that ``training_parts`` adds."""
        return {'frames': self.embed_dim, 'disturbed_frames': self.embed_dim}

    def pool(self, maps: Tensor, num_tracklets: int) -> tuple[Tensor, Tensor]:
        """Pool the last maps of all frames, (N * T, C, H, W), to the static and the dynamic feature, (N, D) each."""
        mean = self.pool_frames(self._frames(maps, num_tracklets))
        return mean, mean

    def pool_frames(self, frames: Tensor, eps: float = 1e-12) -> Tensor:
        """Pool frame features, float (N, T, D), not negative, by the generalized mean over frames: (N, D)."""
        with torch.autocast(frames.device.type, enabled=False):
            return (full_precision(frames).pow(self.gem_power).mean(1) + eps).pow(1 / self.gem_power)

    def training_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Encode a training batch: ``static`` and ``dynamic``, ``frames`` and ``disturbed_frames``."""
        names = [Modality(name).value for name in check_modalities(self, inputs, modalities)]
        maps = self.run_layers(self.run_stems(inputs, names), LAYERS[:2])
        # both versions in one pass, so that batch normalization sees them together
        for layer, across in (('layer3', False), ('layer4', True)):
            plain, disturbed = (maps, maps) if layer == 'layer3' else maps.chunk(2)
            partners = style_partners(names, across).to(maps.device)
            styled = swap_style(disturbed.unflatten(0, inputs.shape[:2]), partners).flatten(0, 1)
            maps = self.run_layers(torch.cat([plain, styled]), (layer,))
        frames, disturbed_frames = self._frames(maps, 2 * len(inputs)).chunk(2)
        mean = self.pool_frames(frames)
        return {'static': mean, 'dynamic': mean, 'frames': frames, 'disturbed_frames': disturbed_frames}

    def _frames(self, maps: Tensor, num_tracklets: int) -> Tensor:
        return pool_stripes(maps, 1, self.gem_power)[:, 0].unflatten(0, (num_tracklets, -1))
