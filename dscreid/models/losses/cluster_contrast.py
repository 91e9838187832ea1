"""Identity loss of the adaptation stage, as a registered module."""

from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.losses.functional import cluster_contrastive_loss, soft_cluster_contrastive_loss
from dscreid.registry import MODELS


@MODELS.register_module()
class ClusterContrastiveLoss(nn.Module):
    """InfoNCE loss against a cluster memory, equations (3) and (4).

    See ``cluster_contrastive_loss``.

    Args:
        temperature: Softmax temperature, positive (0.05 in all released code of this family of methods).
        weight: Factor of the loss, not negative.
    """

    def __init__(self, temperature: float = 0.05, weight: float = 1.0) -> None:
        super().__init__()
        if not temperature > 0 or not weight >= 0:
            raise ConfigError(
                f'ClusterContrastiveLoss: needs temperature > 0 and weight >= 0, got {temperature} and {weight}'
            )
        self.temperature = temperature
        self.weight = weight

    def forward(
        self,
        features: Tensor,
        memory: Tensor,
        labels: Tensor,
        soft: tuple[Tensor, Tensor] | None = None,
        groups: Tensor | None = None,
    ) -> Tensor:
        """Compute the weighted loss of features against cluster centers.

        Args:
            features: float (B, D).
            memory: (C, D), cluster centers.
            labels: int64 (B,) in [0, C). Rows labeled -1 are ignored.
            soft: Targets, float (B, C), and weights, float (B,), to use instead of ``labels`` and ``groups``; see
                ``soft_cluster_contrastive_loss``.
            groups: int64 (C,), group of each cluster; see ``cluster_contrastive_loss``.
        """
        if soft is not None:
            return self.weight * soft_cluster_contrastive_loss(features, memory, *soft, self.temperature)
        return self.weight * cluster_contrastive_loss(features, memory, labels, self.temperature, groups)
