"""Batch normalization neck without bias (BNNeck; Luo et al., 2019) and classifier over source identities."""

import torch
from torch import Tensor, nn

from dscreid.registry import MODELS


@MODELS.register_module()
class BNNeck(nn.BatchNorm1d):
    """``BatchNorm1d`` over ``num_features`` = D features, with its bias frozen at zero."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.bias.requires_grad_(False)

    @torch.no_grad()
    def recalibrate(self, features: Tensor) -> None:
        """Set the running statistics to those of raw features of a domain, float (N >= 2, D) (AdaBN; Li et al.)."""
        if features.ndim != 2 or features.shape[1] != self.num_features or len(features) < 2:
            raise ValueError(f'needs at least two rows of {self.num_features} values, got {tuple(features.shape)}')
        features = features.double()  # because thousands of rows are summed
        self.running_mean.copy_(features.mean(0))
        self.running_var.copy_(features.var(0, unbiased=True))


@MODELS.register_module()
class IdentityHead(nn.Linear):
    """Linear classifier without bias, initialized from a normal distribution of standard deviation 0.001 (AGW)."""

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__(in_features, num_classes, bias=False)
        nn.init.normal_(self.weight, std=0.001)
