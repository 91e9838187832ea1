"""Losses of IBAN between the modalities of a batch: pure functions and modules."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dscreid.models.losses.alignment import partner_candidates
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.losses.supervised import BatchLoss
from dscreid.models.losses.triplets import euclidean
from dscreid.models.precision import full_precision
from dscreid.registry import MODELS


def easy_positive(features: Tensor, labels: Tensor, visible: Tensor, positives_only: bool = False) -> Tensor:
    """Pull rows of the other modality to the nearest of them with the anchor's identity (IBAN's easy samples).

    For each anchor i, ``e_i`` is the nearest row of its identity in the other modality, without gradient. The loss is
    the sum over i, and over rows k of the other modality, of ``|x_k - e_i| ** 2 / D``.

    Args:
        features: float (B, D).
        labels: int64 (B,).
        visible: bool (B,).
        positives_only: Whether only rows k with the anchor's identity are pulled; the released code pulls all.

    Returns:
        Scalar; anchors without a row of their identity in the other modality are left out.
    """
    with torch.autocast(features.device.type, enabled=False):
        features = full_precision(features)
        same, different = partner_candidates(labels, visible)
        distances = euclidean(features, features).detach().masked_fill(~same, torch.inf)
        easy = features[distances.argmin(dim=1)].detach()
        pulled = (same if positives_only else same | different) & same.any(dim=1, keepdim=True)
        return ((easy[:, None] - features[None, :]).square().mean(dim=2) * pulled).sum()


def counterparts(labels: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Pair the i-th visible with the i-th infrared row of each identity.

    Returns the row of each row's counterpart, int64 (B,), and which rows have one, bool (B,).
    """
    same, _ = partner_candidates(labels, visible)
    alike = (labels[:, None] == labels[None, :]) & (visible[:, None] == visible[None, :])
    rank = alike.tril(diagonal=-1).sum(dim=1)
    pairs = same & (rank[:, None] == rank[None, :])
    return pairs.long().argmax(dim=1), pairs.any(dim=1)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class EasyPositiveLoss(BatchLoss):
    """Loss of easy samples of IBAN; see ``easy_positive``."""

    positives_only: bool = False  #: False as in the released code

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the sum over all rows."""
        return easy_positive(batch.part(self.part), batch.labels, batch.visible, self.positives_only)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class TranslationLoss(BatchLoss):
    """Mean squared error of maps predicted for the other modality, float (R, ...), added over both modalities (IBAN).

    The maps of a row's counterpart (see ``counterparts``) are the target, without gradient.
    """

    part: str = 'translated_head'  #: output of a ``TranslationHead``
    target: str = 'anaglyph_layer4'  #: the part that the head reads

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of a batch that the loss reads."""
        return (self.part, self.target)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the loss over the rows that have a counterpart, or a differentiable 0 without any."""
        rows, used = counterparts(batch.labels, batch.visible)
        errors = batch.part(self.part).float() - batch.part(self.target).detach().float()[rows]
        per_row = errors.square().flatten(1).mean(dim=1) * used
        # as many rows of each modality are used
        return 2 * per_row.sum() / used.sum().clamp(min=1)
