"""Identity losses of the adaptation stage against cluster memories, as registered modules."""

from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.losses.functional import cluster_contrastive_loss, soft_cluster_contrastive_loss
from dscreid.registry import MODELS
from dscreid.structures import Modality, TrackletFeatures


@MODELS.register_module()
class ClusterContrastiveLoss(nn.Module):
    """InfoNCE loss against a cluster memory, equations (3) and (4); see ``cluster_contrastive_loss``.

    Args:
        temperature: Softmax temperature, positive (0.05 in all released code of this family of methods).
        weight: Factor of the loss, not negative.
    """

    def __init__(self, temperature: float = 0.05, weight: float = 1.0) -> None:
        super().__init__()
        _check(self, temperature, weight)
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
        """Compute the weighted loss of features, float (B, D), against the C centers of a cluster memory, (C, D).

        See ``cluster_contrastive_loss``. If ``soft`` is given (targets, float (B, C), and weights, float (B,)), the
        loss is ``soft_cluster_contrastive_loss`` instead, without ``labels`` and ``groups``.
        """
        if soft is not None:
            return self.weight * soft_cluster_contrastive_loss(features, memory, *soft, self.temperature)
        return self.weight * cluster_contrastive_loss(features, memory, labels, self.temperature, groups)


@MODELS.register_module()
class CrossClusterLoss(nn.Module):
    """Alternate cross contrastive learning (PGM; Wu and Ye, CVPR 2023).

    Features of each modality are compared with the cluster memory of the other, using ``PseudoLabels.cross``.

    Args:
        weight: Factor of the loss, not negative (0.25 in PGM's released code, 3.0 in that of N-ULC).
        alternate: If True, even epochs (from 0) compare visible features with the infrared memory, odd epochs the
            reverse. If False, every epoch uses both.
        temperature: Softmax temperature, positive.
        begin: First epoch (from 0) in which the loss is active.
        end: First epoch in which the loss is no longer active, or None for no end.

    Raises:
        ConfigError: If a value is out of range.
    """

    def __init__(
        self,
        weight: float = 0.25,
        alternate: bool = True,
        temperature: float = 0.05,
        begin: int = 0,
        end: int | None = None,
    ) -> None:
        super().__init__()
        _check(self, temperature, weight)
        if begin < 0 or (end is not None and end < begin):
            raise ConfigError(f'CrossClusterLoss: needs 0 <= begin <= end, got {begin} and {end}')
        self.weight = weight
        self.alternate = alternate
        self.temperature = temperature
        self.begin = begin
        self.end = end

    def queries_at(self, epoch: int) -> tuple[Modality, ...]:
        """Return the modalities whose features are compared with the other's clusters in an epoch (from 0)."""
        if not self.weight or epoch < self.begin or (self.end is not None and epoch >= self.end):
            return ()
        both = (Modality.RGB, Modality.IR)
        return (both[epoch % 2],) if self.alternate else both

    def forward(
        self,
        static: Tensor,
        dynamic: Tensor,
        centers: TrackletFeatures,
        labels: Tensor,
        soft: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Compute the weighted loss of one direction, summed over the static and dynamic halves.

        Args:
            static: float (B, D), static features of one modality.
            dynamic: float (B, D), dynamic features of the same tracklets.
            centers: Cluster memory of the other modality, C rows.
            labels: int64 (B,) in [0, C), cluster of each feature in the other modality. Rows labeled -1 are ignored.
            soft: Targets, float (B, C), and weights, float (B,), to use instead of ``labels``.
        """

        def term(features: Tensor, memory: Tensor) -> Tensor:
            if soft is None:
                return cluster_contrastive_loss(features, memory, labels, self.temperature)
            return soft_cluster_contrastive_loss(features, memory, *soft, self.temperature)

        return self.weight * (term(static, centers.static) + term(dynamic, centers.dynamic))


def _check(loss: nn.Module, temperature: float, weight: float) -> None:
    if not temperature > 0 or not weight >= 0:
        raise ConfigError(
            f'{type(loss).__name__}: needs temperature > 0 and weight >= 0, got {temperature} and {weight}'
        )
