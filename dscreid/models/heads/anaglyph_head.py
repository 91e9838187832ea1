"""Heads of IBAN: a classifier that both streams share, and maps predicted for the other modality."""

import torch
from torch import Tensor, nn

from dscreid.models.heads.identity_head import IdentityHead
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.registry import MODELS
from dscreid.structures import Modality


@MODELS.register_module()
class SharedIdentityHead(IdentityHead):
    """``IdentityHead`` of two parts of one width.

    Args:
        in_features: Width D of the parts.
        num_classes: Number of identities.
        part: The first part.
        other_part: The second part.
    """

    def __init__(
        self, in_features: int, num_classes: int, part: str = 'neck_static', other_part: str = 'neck_dynamic'
    ) -> None:
        super().__init__(in_features, num_classes, part)
        self.reads = (part, other_part)

    def forward(self, batch: LabeledBatch) -> Tensor:  # type: ignore[override]  # a part instead of a tensor
        """Compute logits, float (R, 2, num_classes), those of the first part first."""
        return nn.functional.linear(torch.stack([batch.part(name) for name in self.reads], dim=1), self.weight)


@MODELS.register_module()
class TranslationHead(nn.Module):
    """Predict maps of the other modality by one convolution for each modality, without bias.

    Args:
        in_features: Channels of the maps.
        num_classes: Not used.
        part: The part of the batch that holds the maps, float (R, T, C, H, W).
        kernel_size: Size of the convolutions, odd.
    """

    def __init__(self, in_features: int, num_classes: int, part: str, kernel_size: int = 1) -> None:
        super().__init__()
        self.reads, self.out_features = (part,), in_features
        self.layers = nn.ModuleDict(
            {m.value: nn.Conv2d(in_features, in_features, kernel_size, padding='same', bias=False) for m in Modality}
        )

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Predict maps, float (R, T, C, H, W)."""
        maps = batch.part(self.reads[0])
        members = [batch.visible.nonzero()[:, 0], (~batch.visible).nonzero()[:, 0]]
        found = [
            self.layers[modality.value](maps[rows].flatten(0, 1)).unflatten(0, (-1, maps.shape[1]))
            for modality, rows in zip((Modality.RGB, Modality.IR), members, strict=True)
        ]
        return torch.cat(found)[torch.cat(members).argsort()]
