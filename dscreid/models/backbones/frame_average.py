"""Tracklet encoder that averages the features of the frames."""

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from dscreid.registry import MODELS


@MODELS.register_module()
class FrameAverage(BaseModule):
    """Mean of an image tower's features over any number of frames, as the static and the dynamic feature.

    Args:
        tower: Config of an image tower with an attribute ``embed_dim``, such as ``dict(type='CLIPVisionTransformer')``.
    """

    def __init__(self, tower: dict[str, Any]):
        super().__init__()
        self.tower = MODELS.build(tower)
        self.embed_dim = self.tower.embed_dim

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Encode normalized frames ``(N, T, 3, H, W)`` as twice the same ``(N, D)`` float32, not L2-normalized."""
        features = self.tower(inputs.flatten(0, 1))
        mean = features.float().unflatten(0, inputs.shape[:2]).mean(1)
        return mean, mean
