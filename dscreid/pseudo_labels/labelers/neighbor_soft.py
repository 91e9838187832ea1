"""Labeler of NG, interpreted as label calibration by neighbors."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.neighbors.knn import nearest_by_inner_product
from dscreid.pseudo_labels.labelers.base import LabelingContext, SeparateLabeler
from dscreid.pseudo_labels.labelers.matching import checked_passes, matched_cross_labels
from dscreid.pseudo_labels.neighbor_soft import (
    confidence_weights,
    neighbor_count,
    overlap_shares,
    soft_targets,
)
from dscreid.registry import LABELERS
from dscreid.structures import Modality, PseudoLabels, SoftTargets, TrackletFeatures

_CLUSTERING: Mapping[str, Any] = MappingProxyType({'type': 'ClusterLabeler'})


@LABELERS.register_module()
class NeighborSoftLabeler(SeparateLabeler):
    """Cluster each modality, match progressively, and soften own and cross labels by neighbors (Teng et al.).

    Own labels are softened and weighted by the neighbors in the same modality, including the tracklet itself.
    Cross labels (those of ``MatchingLabeler``) are softened and weighted by the neighbors in the other
    modality.

    Args:
        clustering: Config of the labeler that clusters each modality.
        topk: Number of neighbors of a tracklet. The released scripts use 30 for SYSU-MM01 and 20 for RegDB.
        max_cluster_ratio: Maximum number of neighbors as a multiple of the mean cluster size in the modality
            of the neighbors. None always uses ``topk``. With clusters of 3, the published 30 neighbors give
            flat targets and vanishing weights.
        balance: Share of the hard label in a target, in [0, 1].
        sharpness: How fast the weight decreases with the disagreement of the neighbors.
        passes: Maximum number of assignments in the matching. None repeats until every cluster has a partner.
    """

    def __init__(
        self,
        clustering: Mapping[str, Any] = _CLUSTERING,
        topk: int = 30,
        max_cluster_ratio: float | None = 2.0,
        balance: float = 0.7,
        sharpness: float = 10.0,
        passes: int | None = None,
    ) -> None:
        if topk < 1 or (max_cluster_ratio or 1) <= 0 or not 0 <= balance <= 1 or sharpness < 0:
            raise ConfigError(
                'NeighborSoftLabeler: topk must be at least 1, max_cluster_ratio positive or None, balance in [0, 1] '
                f'and sharpness not negative, got {topk}, {max_cluster_ratio}, {balance} and {sharpness}'
            )
        super().__init__(clustering)
        self.topk = topk
        self.max_cluster_ratio = max_cluster_ratio
        self.balance = balance
        self.sharpness = sharpness
        self.passes = checked_passes('NeighborSoftLabeler', passes)

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label each modality, with ``soft``, ``cross`` and ``cross.soft``.

        If no neighbor of a tracklet is in a cluster, the tracklet keeps its hard label with weight 0.
        """
        labels, descriptors = self._clusters(visible, infrared)
        cross = matched_cross_labels(descriptors, labels, self.passes)
        counts = {m: neighbor_count(labels.of(m), self.topk, self.max_cluster_ratio) for m in Modality}

        def softened(own: Modality, wanted: np.ndarray, asked: Modality) -> SoftTargets:
            neighbors = nearest_rows(descriptors[own], descriptors[asked], counts[asked], own is asked)
            shares = overlap_shares(neighbors, labels.of(asked))
            targets = soft_targets(wanted, shares, self.balance)
            return SoftTargets(targets, confidence_weights(wanted, shares, self.sharpness))

        soft = {m: softened(m, labels.of(m), m) for m in Modality}
        cross = replace(cross, soft={m: softened(m, cross.of(m), m.other) for m in Modality})
        parts = []
        for m in Modality:
            labeled = labels.of(m) >= 0
            own, other = (targets[m].weights[labeled].mean() for targets in (soft, cross.soft))
            parts.append(f'{m.value} {counts[m]} neighbors, mean weight {own:.2f} own, {other:.2f} cross')
        print_log(f'neighbor-guided labels: {"; ".join(parts)}', logger='current')
        return replace(labels, soft=soft, cross=cross)


def nearest_rows(queries: Tensor, gallery: Tensor, k: int, self_first: bool = False) -> np.ndarray:
    """int64 (N, min(k, M)) indices into the gallery (M, D) of L2-normalized rows, nearest first."""
    return nearest_by_inner_product(queries, gallery, k, self_first)[1].cpu().numpy()
