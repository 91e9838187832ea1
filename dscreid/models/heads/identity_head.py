"""Classifiers of supervised training."""

import torch
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.registry import MODELS


@MODELS.register_module()
class IdentityHead(nn.Linear):
    """Linear classifier without bias, initialized from a normal distribution of standard deviation 0.001 (AGW).

    Args:
        in_features: Width D of the part.
        num_classes: Number of identities.
        part: The part of the batch that is classified.
    """

    def __init__(self, in_features: int, num_classes: int, part: str = 'neck_static') -> None:
        super().__init__(in_features, num_classes, bias=False)
        nn.init.normal_(self.weight, std=0.001)
        self.reads: tuple[str, ...] = (part,)

    def forward(self, batch: LabeledBatch) -> Tensor:  # type: ignore[override]  # a part instead of a tensor
        """Compute logits, float (R, num_classes)."""
        return super().forward(batch.part(self.reads[0]))


@MODELS.register_module()
class StripeHead(nn.Module):
    """One ``IdentityHead`` for each of some equal slices of a part, such as the stripes of a body (PCB, MMN).

    Args:
        in_features: Width D of the part.
        num_classes: Number of identities.
        stripes: Number of slices G, which must divide D.
        part: The part of the batch that is classified.
    """

    def __init__(self, in_features: int, num_classes: int, stripes: int, part: str = 'neck_static') -> None:
        super().__init__()
        if stripes < 1 or in_features % stripes:
            raise ConfigError(f'StripeHead: stripes must divide the {in_features} features, got {stripes}')
        self.weight = nn.Parameter(torch.empty(stripes, num_classes, in_features // stripes).normal_(std=0.001))
        self.reads, self.out_features = (part,), num_classes

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute logits, float (R, G, num_classes)."""
        slices = batch.part(self.reads[0]).unflatten(1, (len(self.weight), -1))
        return torch.einsum('rgd,gcd->rgc', slices, self.weight.to(slices.dtype))
