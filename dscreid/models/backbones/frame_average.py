"""The plainest tracklet encoder: the mean of the frames' features."""

from mmengine.model import BaseModule
from torch import Tensor

from dscreid.registry import MODELS


@MODELS.register_module()
class FrameAverage(BaseModule):
    """Mean over frames of an image tower's feature, for any number of frames.

    It has no temporal parameters; the same feature serves as static and as dynamic feature, so that it
    can stand in for :class:`SpatioTemporalPrompting` in a config.

    Args:
        tower: Config of the image tower, such as ``dict(type='CLIPVisionTransformer')``.
    """

    def __init__(self, tower: dict):
        super().__init__()
        self.tower = MODELS.build(tower)
        self.embed_dim = self.tower.embed_dim

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Encode tracklets.

        Args:
            inputs: Normalised frames, floats of shape ``(N, T, 3, H, W)``.

        Returns:
            Static and dynamic feature, the same tensor twice: ``(N, D)`` float32, not L2-normalised.
        """
        features = self.tower(inputs.flatten(0, 1))
        mean = features.float().unflatten(0, inputs.shape[:2]).mean(1)
        return mean, mean
