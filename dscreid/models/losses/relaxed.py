"""Relaxed contrastive loss, which weighs the pairs of a batch by their own distances, without labels."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.registry import MODELS

#: Dimension of the features for which RPNR's distances are published.
_PUBLISHED_DIMENSION = 2048


def relaxed_contrastive_loss(features: Tensor, scale: float = 1.0) -> Tensor:
    """Compute the term "RC" of RPNR (Yin et al., ACM MM 2024) within a batch.

    With Euclidean distances ``d``, ``s_ij = d_ij / mean_j d_ij`` and the weights ``w_ij = exp(-(d_ij / scale)^2)``,
    which have no gradient, the loss is the mean over ``i != j`` of ``w_ij s_ij^2 + (1 - w_ij) relu(1 - s_ij)^2``: close
    pairs attract, and all others keep at least the mean distance. The mean distance includes the distance of 0 to
    itself.

    ``features`` are float (B, D), not normalized here; ``scale`` is positive. The loss is a differentiable 0 for fewer
    than two rows.
    """
    count = len(features)
    if count < 2:
        return features.sum() * 0
    with torch.autocast(features.device.type, enabled=False):
        features = features if features.dtype == torch.float64 else features.float()
        # not by a matrix product, which loses the small distances
        distances = torch.cdist(features, features, compute_mode='donot_use_mm_for_euclid_dist')
        relative = distances / distances.mean(dim=1, keepdim=True).clamp(min=1e-12)
        weights = torch.exp(-(distances.detach() / scale).square())
        terms = weights * relative.square() + (1 - weights) * F.relu(1 - relative).square()
        # The weight of a row's distance to itself is 1 and the distance 0, so the diagonal adds nothing.
        return terms.sum() / (count * (count - 1))


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class RelaxedContrastiveLoss(nn.Module):
    """Term "RC" of RPNR on the features of one modality in a batch; see ``relaxed_contrastive_loss``."""

    weight: float = 10.0  #: factor of the loss, not negative
    #: Distance at which the weight of a pair is 1/e, positive. RPNR has 1 for 2,048 dimensions. None gives
    #: sqrt(D / 2048), because distances of features after a neck grow with the square root of their dimension D. Such
    #: distances are about sqrt(2 D), so the published weights are nearly 0 and pairs only repel; with a scale of that
    #: size, close pairs attract.
    scale: float | None = None

    def __post_init__(self) -> None:
        super().__init__()
        if not self.weight >= 0 or (self.scale is not None and not 0 < self.scale < math.inf):
            raise ConfigError(
                f'RelaxedContrastiveLoss: needs weight >= 0 and scale > 0 or None, got {self.weight} and {self.scale}'
            )

    def forward(self, static: Tensor, dynamic: Tensor) -> Tensor:
        """Compute the weighted loss of both halves, float (B, D) each, as they leave the neck."""
        scale = math.sqrt(static.shape[1] / _PUBLISHED_DIMENSION) if self.scale is None else self.scale
        return self.weight * (relaxed_contrastive_loss(static, scale) + relaxed_contrastive_loss(dynamic, scale))
