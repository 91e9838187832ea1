"""Losses that belong to a single supervised method, as registered modules; see ``supervised`` for what they share."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.models.losses.alignment import dense_triplet, partner_candidates
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.losses.supervised import BatchLoss, IdentityLoss
from dscreid.registry import MODELS


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class ModalityDistanceLoss(BatchLoss):
    """Mean Euclidean distance between visible and infrared rows of the same identity (MMN's distribution consistency).

    The rows are those of the first version.
    """

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the mean over all pairs, or a differentiable 0 without any."""
        rows = batch.part(self.part).float()
        labels, visible = batch.labels[: len(rows)], batch.visible[: len(rows)]
        first, second = (
            (labels[:, None] == labels[None, :]).logical_and(visible[:, None] & ~visible[None, :]).nonzero().T
        )
        distances = (rows[first] - rows[second]).square().sum(dim=1).clamp(min=1e-12).sqrt()
        return distances.sum() / max(len(distances), 1)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class VersionOrthogonalityLoss(BatchLoss):
    """Mean over tracklets of the summed cosine similarities between their versions (DEEN)."""

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the loss over all pairs of versions."""
        versions = F.normalize(torch.stack(batch.versions(self.part), dim=1).float(), dim=2)
        return (versions @ versions.transpose(1, 2)).triu(diagonal=1).sum(dim=(1, 2)).mean()


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class DenseTripletLoss(BatchLoss):
    """Compare maps with what an ``AlignmentHead`` made of them (LbA); see ``dense_triplet``."""

    maps: str = 'maps_layer4'  #: the part that the head aligned; ``part`` is its output
    margin: float = 0.3  #: not negative

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.margin < 0:
            raise ConfigError(f'DenseTripletLoss: margin must be at least 0, got {self.margin}')

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of a batch that the loss reads."""
        return (self.maps, self.part)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the loss over the rows that have partners of both kinds."""
        used = torch.stack([kind.any(dim=1) for kind in partner_candidates(batch.labels, batch.visible)]).all(dim=0)
        positive, negative = batch.part(self.part).unbind(1)
        return dense_triplet(batch.part(self.maps), positive, negative, used, self.margin)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class GrowingIdentityLoss(IdentityLoss):
    """Cross entropy whose weight grows as other losses fall (DDAG's graph loss).

    As published, its factor is ``1 / (1 + m)`` with ``m`` the mean over the previous epoch of the sum of all losses
    that stand before it in the config, and 0 in the first epoch.
    """

    growing: bool = True  #: False leaves ``weight`` alone, which does not depend on the scale of the other losses

    def __post_init__(self) -> None:
        super().__post_init__()
        # [epoch, sum and number of this epoch's losses, factor], in the checkpoint so that a resumed run goes on
        self.register_buffer('record', torch.zeros(4, dtype=torch.float64))

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the mean over all rows, times the factor."""
        entropy = super().forward(batch)
        if not self.growing:
            return entropy
        record = self.get_buffer('record')
        epoch, total, count, factor = record.tolist()
        if batch.epoch != epoch:
            factor = 1 / (1 + total / count) if count else 0.0
            total = count = 0.0
        total += sum(float(loss.detach()) for loss in batch.losses.values())
        record.copy_(torch.tensor([batch.epoch, total, count + 1, factor]))
        return factor * entropy


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class ModalityConfusionLoss(BatchLoss):
    """Adversarial loss of MITML on the two logits of a ``ModalityHead``.

    Its classifier learns to tell visible (0) from infrared (1), and the encoder to be classified as neither (2).
    """

    part: str = 'modality_head'

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the sum of both cross entropies."""
        for_head, for_encoder = batch.part(self.part).unbind(1)
        target = (~batch.visible).long()
        return F.cross_entropy(for_head, target) + F.cross_entropy(for_encoder, torch.full_like(target, 2))
