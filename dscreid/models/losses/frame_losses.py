"""Losses of SAADG on frames and on the logits of its graphs, as registered modules."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.losses.supervised import BatchLoss
from dscreid.registry import MODELS


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class FrameDistanceLoss(BatchLoss):
    """Mean Euclidean distance between two parts of frame features, float (R, T, D)."""

    part: str = 'frames'
    other_part: str = 'disturbed_frames'  #: the part that is compared with ``part``

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of a batch that the loss reads."""
        return (self.part, self.other_part)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the mean over all frames."""
        difference = batch.part(self.part).float() - batch.part(self.other_part).float()
        return difference.square().sum(dim=-1).clamp(min=1e-12).sqrt().mean()


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class DistillationLoss(BatchLoss):
    """Kullback-Leibler divergence of a head's prediction from those of a teacher, which gets no gradient.

    The teacher has logits (R, C), or (R, G, C) of G teachers, whose divergences are averaged.
    """

    part: str = 'static_head'
    teacher: str = 'graph_head'  #: output of the head that teaches

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of a batch that the loss reads."""
        return (self.part, self.teacher)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the mean over rows (and teachers)."""
        log_student = batch.part(self.part).float().log_softmax(dim=-1)
        teacher = batch.part(self.teacher).detach().float()
        if teacher.ndim == 3:
            log_student = log_student[:, None].expand_as(teacher)
        divergence = F.kl_div(log_student, teacher.log_softmax(dim=-1), reduction='none', log_target=True)
        return divergence.sum(dim=-1).mean()
