"""Classifier over source identities."""

from torch import nn

from dscreid.registry import MODELS


@MODELS.register_module()
class IdentityHead(nn.Linear):
    """Linear classifier without bias, initialized from a normal distribution with standard deviation 0.001 as in AGW.

    Args:
        in_features: Width D of the neck's output.
        num_classes: Number of source identities.
    """

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__(in_features, num_classes, bias=False)
        nn.init.normal_(self.weight, std=0.001)
