"""The identity loss of adaptation as a config entry."""

from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.losses.functional import cluster_contrastive_loss, soft_cluster_contrastive_loss
from dscreid.registry import MODELS


@MODELS.register_module()
class ClusterContrastiveLoss(nn.Module):
    """InfoNCE against a cluster memory, equations (3) and (4); see ``cluster_contrastive_loss``.

    Args:
        temperature: Softmax temperature, positive (0.05 in all released code of the family).
        weight: Factor of the loss.
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
        """Weighted loss of features against centres.

        Args:
            features: float (B, D).
            memory: (C, D).
            labels: int64 (B,) in [0, C), -1 left out.
            soft: Targets float (B, C) and weights float (B,) in place of labels and groups; see
                ``soft_cluster_contrastive_loss``.
            groups: int64 (C,), group of each cluster; see ``cluster_contrastive_loss``.

        Returns:
            Scalar.
        """
        if soft is not None:
            return self.weight * soft_cluster_contrastive_loss(features, memory, *soft, self.temperature)
        return self.weight * cluster_contrastive_loss(features, memory, labels, self.temperature, groups)
