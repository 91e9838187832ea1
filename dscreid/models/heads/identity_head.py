"""The classifier over source identities."""

from torch import nn

from dscreid.registry import MODELS


@MODELS.register_module()
class IdentityHead(nn.Linear):
    """Bias-free linear classifier, initialised from N(0, 0.001) as in AGW.

    Args:
        in_features: Width D of the neck's output.
        num_classes: Number of source identities.
    """

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__(in_features, num_classes, bias=False)
        nn.init.normal_(self.weight, std=0.001)
