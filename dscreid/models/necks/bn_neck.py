"""The bias-free batch-normalisation neck (BNNeck; Luo et al., 2019)."""

import torch
from torch import Tensor, nn

from dscreid.registry import MODELS


@MODELS.register_module()
class BNNeck(nn.BatchNorm1d):
    """BatchNorm1d whose bias is frozen at zero.

    Classification and cluster losses see its output, the triplet its input.

    Args:
        num_features: Width D of the features.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.bias.requires_grad_(False)

    @torch.no_grad()
    def recalibrate(self, features: Tensor) -> None:
        """Set the running statistics to those of the given features (AdaBN; Li et al., 2017).

        Args:
            features: float (N, D), raw features of the domain at hand, N >= 2.

        Raises:
            ValueError: Fewer than two rows, or another width.
        """
        if features.ndim != 2 or features.shape[1] != self.num_features or len(features) < 2:
            raise ValueError(
                f'needs at least two rows of {self.num_features} values, got {tuple(features.shape)}'
            )
        # float64: thousands of rows are summed, and it happens once per epoch at most
        features = features.double()
        self.running_mean.copy_(features.mean(0))
        self.running_var.copy_(features.var(0, unbiased=True))
