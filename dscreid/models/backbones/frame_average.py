"""Tracklet encoder that averages the features of the frames."""

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from dscreid.registry import MODELS


@MODELS.register_module()
class FrameAverage(BaseModule):
    """Mean of an image tower's features over any number of frames.

    The same feature is returned as the static and the dynamic one.

    Args:
        tower: Config of an image tower with an attribute ``embed_dim``, such as ``dict(type='CLIPVisionTransformer')``.
    """

    def __init__(self, tower: dict[str, Any]):
        super().__init__()
        self.tower = MODELS.build(tower)
        self.embed_dim = self.tower.embed_dim

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Encode normalized frames ``(N, T, 3, H, W)``, for any T.

        Returns:
            Static and dynamic features, the same tensor twice: ``(N, D)`` float32, not L2-normalized.
        """
        features = self.tower(inputs.flatten(0, 1))
        mean = features.float().unflatten(0, inputs.shape[:2]).mean(1)
        return mean, mean
