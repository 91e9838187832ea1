"""Two networks that are trained together, as the halves of one encoder (DART)."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from dscreid.registry import MODELS


@MODELS.register_module()
class TwinEncoder(BaseModule):
    """Two encoders of one architecture. The static feature comes from the first, the dynamic one from the second.

    In training, the second one sees mirrored frames, so that both differ in more than their random weights.

    Args:
        encoder: Config of an encoder that needs modalities and whose halves are the same feature.
    """

    needs_modalities = True

    def __init__(self, encoder: dict[str, Any]) -> None:
        super().__init__()
        self.first, self.second = MODELS.build(encoder), MODELS.build(encoder)
        self.embed_dim: int = self.first.embed_dim

    def init_weights(self) -> None:
        """Load the pretrained weights of both encoders."""
        self.first.init_weights()
        self.second.init_weights()

    def forward(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: raw static and dynamic features, float32 ``(N, D)``."""
        return self.first(inputs, modalities)[0], self.second(inputs, modalities)[0]

    def training_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Encode frames of a training batch, the second time mirrored."""
        return {'static': self.first(inputs, modalities)[0], 'dynamic': self.second(inputs.flip(-1), modalities)[0]}
