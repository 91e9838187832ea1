"""Loss against two centers of each cluster, of which one follows the mean of a batch and one its hardest member."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.losses.functional import cluster_contrastive_loss
from dscreid.models.losses.modules import Soft, check_factors
from dscreid.registry import MODELS


def mean_hard_contrastive_loss(
    features: Tensor,
    mean_centers: Tensor,
    hard_centers: Tensor,
    labels: Tensor,
    temperature: float = 0.05,
    margin: float = 0.2,
) -> Tensor:
    """Compute the memory loss of RPNR (Yin et al., ACM MM 2024): ``(L_hard + relu(L_mean - margin)) / 2``.

    ``L_hard`` and ``L_mean`` are :func:`cluster_contrastive_loss` against the two memories, (C, D) each, with the same
    features, float (B, D), labels, int64 (B,), -1 = outlier, and ``temperature``. Below ``margin``, which is not
    negative, ``L_mean``, a mean over the batch, has no gradient.
    """
    hard = cluster_contrastive_loss(features, hard_centers, labels, temperature)
    mean = cluster_contrastive_loss(features, mean_centers, labels, temperature)
    return (hard + torch.relu(mean - margin)) / 2


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class MeanHardContrastiveLoss(nn.Module):
    """Memory loss of RPNR; see ``mean_hard_contrastive_loss``. It needs ``MeanHardMemory`` as the cluster memory."""

    temperature: float = 0.05  #: softmax temperature, positive
    margin: float = 0.2  #: value below which the loss against the mean centers is 0, not negative
    weight: float = 1.0  #: factor of the loss, not negative

    def __post_init__(self) -> None:
        super().__init__()
        check_factors(self, self.temperature, self.weight)
        if not self.margin >= 0:
            raise ConfigError(f'MeanHardContrastiveLoss: margin must be at least 0, got {self.margin}')

    def forward(
        self,
        features: Tensor,
        memory: Tensor,
        labels: Tensor,
        soft: Soft | None = None,
        groups: Tensor | None = None,
        unpaired: Tensor | None = None,
    ) -> Tensor:
        """Compute the weighted loss; ``memory`` is (2, C, D), mean centers first."""
        if unpaired is not None:
            raise ConfigError('MeanHardContrastiveLoss cannot be used with unpaired_negatives=False')
        if soft is not None or groups is not None:
            raise ConfigError(
                'MeanHardContrastiveLoss cannot use the soft targets or groups of this labeler; use '
                'ClusterContrastiveLoss and ClusterMemory with it'
            )
        if memory.ndim != 3:
            raise ConfigError(
                'MeanHardContrastiveLoss needs two centers of each cluster; set '
                "memories=dict(cluster=dict(type='MeanHardMemory'))"
            )
        loss = mean_hard_contrastive_loss(features, memory[0], memory[1], labels, self.temperature, self.margin)
        return self.weight * loss
