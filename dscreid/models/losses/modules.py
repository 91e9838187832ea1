"""Losses of the adaptation stage, with their settings and schedules, as registered modules."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.losses.functional import (
    cluster_contrastive_loss,
    neighbor_contrastive_loss,
    neighbor_mask,
    soft_cluster_contrastive_loss,
)
from dscreid.models.losses.schedule import check_epochs, is_active
from dscreid.models.memories.feature_memory import FeatureMemory
from dscreid.registry import MODELS
from dscreid.structures import Modality, TrackletFeatures

Soft = tuple[Tensor, Tensor]
LETTERS = {'v': Modality.RGB, 't': Modality.IR}  # as in the paper: v = visible, t = infrared ("thermal")


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class ClusterContrastiveLoss(nn.Module):
    """InfoNCE loss against a cluster memory, equations (3) and (4); see ``cluster_contrastive_loss``."""

    temperature: float = 0.05  #: softmax temperature, positive (0.05 in all released code of this family of methods)
    weight: float = 1.0  #: factor of the loss, not negative

    def __post_init__(self) -> None:
        super().__init__()
        check_factors(self, self.temperature, self.weight)

    def forward(
        self,
        features: Tensor,
        memory: Tensor,
        labels: Tensor,
        soft: Soft | None = None,
        groups: Tensor | None = None,
        unpaired: Tensor | None = None,
    ) -> Tensor:
        """Compute the weighted loss; with ``soft``, targets (B, C) and weights (B,), the soft one."""
        if memory.ndim != 2:
            raise ConfigError('ClusterContrastiveLoss needs one center of each cluster; use ClusterMemory with it')
        if soft is not None and unpaired is not None:
            raise ConfigError('unpaired_negatives=False cannot be used with soft targets; use the default True')
        if soft is not None:
            return self.weight * soft_cluster_contrastive_loss(features, memory, *soft, self.temperature)
        return self.weight * cluster_contrastive_loss(features, memory, labels, self.temperature, groups, unpaired)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class CrossClusterLoss(nn.Module):
    """Alternate cross contrastive learning (PGM; Wu and Ye, CVPR 2023), using ``PseudoLabels.cross``.

    As ``hybrid_loss`` of a model, it compares features with the averaged centers of matched clusters (RPNR).
    """

    weight: float = 0.25  #: factor of the loss, not negative (0.25 in PGM's released code, 3.0 in that of N-ULC)
    #: whether even epochs (from 0) use only visible features (and the infrared memory), odd ones infrared
    alternate: bool = True
    temperature: float = 0.05  #: softmax temperature, positive
    begin: int = 0  #: first epoch (from 0) in which the loss is active
    end: int | None = None  #: first epoch in which the loss is no longer active, or None for no end
    half_loss: Any = None  #: config of the loss of each half; None for ``ClusterContrastiveLoss``

    def __post_init__(self) -> None:
        super().__init__()
        check_factors(self, self.temperature, self.weight)
        check_epochs(self, self.begin, self.end)
        kind = {'type': 'ClusterContrastiveLoss', 'temperature': self.temperature}
        self.contrast = MODELS.build({**kind, **(self.half_loss or {})})

    def queries_at(self, epoch: int) -> tuple[Modality, ...]:
        """Return the modalities whose features are compared with the other's clusters in an epoch (from 0)."""
        if not self.weight or not is_active(self.begin, self.end, epoch):
            return ()
        both = (Modality.RGB, Modality.IR)
        return (both[epoch % 2],) if self.alternate else both

    def forward(
        self,
        static: Tensor,
        dynamic: Tensor,
        centers: TrackletFeatures | FeatureMemory,
        labels: Tensor,
        soft: Soft | None = None,
    ) -> Tensor:
        """Compute the weighted loss of one direction, summed over the static and dynamic halves, float (B, D) each.

        ``centers``, ``labels`` and ``soft`` (see ``ClusterContrastiveLoss``) belong to the other modality, or to the
        hybrid memory.
        """
        static_loss = self.contrast(static, centers.static, labels, soft)
        return self.weight * (static_loss + self.contrast(dynamic, centers.dynamic, labels, soft))


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class NeighborContrastiveLoss(nn.Module):
    """DSJL over one or more pairs of modalities, equations (15) to (24), with the weights and epochs of (25)."""

    #: pairs of query and bank modality: ``vv``, ``tt`` (intra-modal), ``vt``, ``tv`` (cross-modal)
    pairs: Sequence[str] = ('vv', 'tt')
    alpha: float = 0.9  #: fraction of the largest similarity that a neighbor must exceed, in [0, 1]
    temperature: float = 0.05  #: softmax temperature, positive
    count_offset: float = 1  #: added to the number of neighbors in the divisor, not negative
    weight: float = 1.0  #: weight while each modality has its own labels
    unified_weight: float | None = 0.1  #: weight once both modalities share their labels; None keeps ``weight``
    begin: int = 0  #: first epoch (from 0) in which the loss is active
    end: int | None = None  #: first epoch in which the loss is no longer active, or None for no end
    static_weight: float = 1.0  #: factor of the static half (0.5 for the shallow half in the parent method's code)
    dynamic_weight: float = 1.0  #: factor of the dynamic half
    #: whether each epoch uses only one pair, in turn (the parent method's code: the cross-modal pairs)
    alternate: bool = False
    #: additional factor for each pair (the parent method's code uses 0.1 for ``vt``); None uses 1
    pair_weights: Any = None
    #: Whether a tracklet counts as its own neighbor, as published, so that the threshold within a modality is
    #: ``alpha``. Otherwise it is ``alpha`` times the similarity of the nearest other tracklet.
    include_self: bool = True
    #: Whether tracklets of the anchor's own cluster that are not its neighbors are negatives, as published. Otherwise
    #: the softmax ignores them, across modalities once both share their labels.
    own_cluster_negatives: bool = True

    def __post_init__(self) -> None:
        super().__init__()
        known = [query + bank for query in LETTERS for bank in LETTERS]
        if isinstance(self.pairs, str) or not self.pairs or any(pair not in known for pair in self.pairs):
            raise ConfigError(f'NeighborContrastiveLoss: pairs must list some of {known}, got {self.pairs!r}')
        if self.temperature <= 0 or not 0 <= self.alpha <= 1 or self.count_offset < 0:
            raise ConfigError(
                'NeighborContrastiveLoss: needs temperature > 0, alpha in [0, 1] and count_offset >= 0, got '
                f'{self.temperature}, {self.alpha} and {self.count_offset}'
            )
        unified = self.weight if self.unified_weight is None else self.unified_weight
        weights = [self.weight, self.static_weight, self.dynamic_weight, unified]
        if not all(isfinite(value) and value >= 0 for value in weights):
            raise ConfigError(f'NeighborContrastiveLoss: weights must be finite numbers >= 0, got {weights}')
        check_epochs(self, self.begin, self.end)
        factors = [1.0] * len(self.pairs) if self.pair_weights is None else list(self.pair_weights)
        if len(factors) != len(self.pairs) or min(factors) < 0:
            raise ConfigError(
                f'pair_weights must give each of {list(self.pairs)} a factor of at least 0, got {self.pair_weights}'
            )
        self.pair_weights = dict(zip(self.pairs, factors, strict=True))

    def weight_at(self, epoch: int, unified: bool) -> float:
        """Return the weight in an epoch (from 0), or 0 if inactive; ``unified``: both modalities share their labels."""
        if not is_active(self.begin, self.end, epoch):
            return 0.0
        return self.unified_weight if unified and self.unified_weight is not None else self.weight

    def pairs_at(self, epoch: int) -> tuple[str, ...]:
        """Return the pairs of an epoch."""
        return (self.pairs[epoch % len(self.pairs)],) if self.alternate else tuple(self.pairs)

    def forward(
        self,
        static: Tensor,
        dynamic: Tensor,
        queries: TrackletFeatures,
        bank: TrackletFeatures,
        own_rows: Tensor | None = None,
        same_cluster: Tensor | None = None,
    ) -> Tensor:
        """Compute the loss of a pair of modalities for B anchors, float (B, D) per half; the caller applies ``weight``.

        ``queries`` are the anchors' rows in the instance memory of their modality, ``bank`` the memory to search, of N
        rows. ``own_rows``, int64 (B,), are the anchors' rows in the bank, None if it is of the other modality;
        ``same_cluster``, bool (B, N), says which rows have the anchor's label, None if labels cannot be compared.
        """
        own_rows = None if self.include_self else own_rows
        left_out = None if self.own_cluster_negatives else same_cluster
        mask = neighbor_mask(queries.static, queries.dynamic, bank.static, bank.dynamic, self.alpha, own_rows)
        options = self.temperature, self.count_offset, left_out
        static_loss = neighbor_contrastive_loss(static, bank.static, mask, *options)
        dynamic_loss = neighbor_contrastive_loss(dynamic, bank.dynamic, mask, *options)
        return self.static_weight * static_loss + self.dynamic_weight * dynamic_loss


def check_factors(loss: nn.Module, temperature: float, weight: float) -> None:
    """Raise ConfigError unless the temperature of a loss is positive and its weight not negative."""
    if not temperature > 0 or not weight >= 0:
        raise ConfigError(
            f'{type(loss).__name__}: needs temperature > 0 and weight >= 0, got {temperature} and {weight}'
        )
