"""Losses of supervised training as registered modules.

Each reads parts of a ``LabeledBatch`` and returns a scalar, which the model multiplies by ``weight``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.losses.functional import supervised_contrastive_loss
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.losses.schedule import check_epochs, check_weight, is_active
from dscreid.models.losses.triplets import (
    batch_hard_triplet,
    center_triplet,
    squared_weighted_triplet,
    weighted_regularized_triplet,
)
from dscreid.registry import MODELS


@dataclass(eq=False, repr=False)
class BatchLoss(nn.Module):
    """A loss of a labeled batch, active in the epochs [begin, end), counted from 0."""

    weight: float = 1.0  #: factor of the loss, not negative
    begin: int = 0  #: first epoch in which the loss is active
    end: int | None = None  #: first epoch in which the loss is no longer active, or None for no end
    part: str = 'static'  #: the part of the batch that the loss reads

    def __post_init__(self) -> None:
        super().__init__()
        check_weight(self, self.weight)
        check_epochs(self, self.begin, self.end)

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of a batch that the loss reads."""
        return (self.part,)

    def is_active(self, epoch: int) -> bool:
        """Check whether the loss is active in an epoch, counted from 0."""
        return is_active(self.begin, self.end, epoch)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the loss without its weight; subclasses implement this."""
        raise NotImplementedError


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class IdentityLoss(BatchLoss):
    """Cross entropy of a head's logits, (R, C), or the mean over G groups of logits, (R, G, C)."""

    part: str = 'static_head'  #: output of the head
    label_smoothing: float = 0.0  #: in [0, 1)
    #: First and end of the groups that count, such as (1, None); None for all.
    groups: Sequence[int | None] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f'IdentityLoss: label_smoothing must lie in [0, 1), got {self.label_smoothing}')
        if self.groups is not None and len(self.groups) != 2:
            raise ConfigError(f'IdentityLoss: groups must be the first and the end of a range, got {self.groups}')

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the mean over all rows (and groups)."""
        logits = batch.part(self.part).float()
        if self.groups is not None:
            logits = logits[:, slice(*self.groups)]
        groups = logits.shape[1] if logits.ndim == 3 else 1
        labels = batch.labels.repeat_interleave(groups)
        return F.cross_entropy(logits.flatten(0, -2), labels, label_smoothing=self.label_smoothing)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class WeightedTripletLoss(BatchLoss):
    """Triplet loss of AGW, or, if ``squared``, of CAJ; see ``dscreid.models.losses.triplets``."""

    squared: bool = False  #: whether the difference of the weighted distances is squared

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the loss over all rows."""
        triplet = squared_weighted_triplet if self.squared else weighted_regularized_triplet
        return triplet(batch.part(self.part), batch.labels)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class BatchHardTripletLoss(BatchLoss):
    """Batch-hard triplet loss; see ``batch_hard_triplet``."""

    margin: float = 0.3  #: not negative
    normalize: bool = False  #: whether features are L2-normalized first
    #: Whether the loss is the mean over all pairs of a version of the visible and one of the infrared tracklets, each
    #: a batch of its own (MMN). Otherwise all versions form one batch.
    over_version_pairs: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.margin < 0:
            raise ConfigError(f'{type(self).__name__}: margin must be at least 0, got {self.margin}')

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the loss over all rows."""
        features = batch.part(self.part)
        features = F.normalize(features, dim=1) if self.normalize else features
        if not self.over_version_pairs:
            return batch_hard_triplet(features, batch.labels, self.margin)
        versions, num = range(batch.num_versions), len(features) // batch.num_versions
        visible, labels, rows = batch.visible[:num], batch.labels[:num], torch.arange(num, device=features.device)
        losses = [
            batch_hard_triplet(features[rows + num * torch.where(visible, first, second)], labels, self.margin)
            for first in versions
            for second in versions
        ]
        return torch.stack(losses).mean()


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class CenterTripletLoss(BatchLoss):
    """Triplet loss of identity centers between the first version of a batch and each other; see ``center_triplet``."""

    margin: float = 0.2  #: not negative

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.margin < 0:
            raise ConfigError(f'CenterTripletLoss: margin must be at least 0, got {self.margin}')

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the mean over the other versions."""
        first, *others = batch.versions(self.part)
        if not others:
            raise ConfigError('CenterTripletLoss needs an encoder that gives each tracklet in several versions')
        labels = batch.labels[: len(first)]
        return torch.stack([center_triplet(first, other, labels, self.margin) for other in others]).mean()


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class SupervisedContrastiveLoss(BatchLoss):
    """Supervised contrastive loss; see ``supervised_contrastive_loss``."""

    part: str = 'neck_static'
    temperature: float = 0.1  #: softmax temperature, positive

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the loss over all rows."""
        return supervised_contrastive_loss(batch.part(self.part), batch.labels, self.temperature)
