"""Labeler of NG, interpreted as label calibration by neighbors."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.neighbors.knn import nearest_by_inner_product
from dscreid.pseudo_labels.descriptors import (
    build_clustering,
    cluster_separately,
    other_modality,
    tracklet_descriptors,
)
from dscreid.pseudo_labels.labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.pseudo_labels.matching_labeler import matched_cross_labels
from dscreid.pseudo_labels.neighbor_soft import (
    confidence_weights,
    neighbor_count,
    overlap_shares,
    soft_targets,
)
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures

_CLUSTERING = MappingProxyType({'type': 'ClusterLabeler'})


@LABELERS.register_module()
class NeighborSoftLabeler:
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

    Example (config)::

        labeler = dict(type='NeighborSoftLabeler', clustering=dict(type='ClusterLabeler', eps=0.6), topk=20)
    """

    def __init__(
        self,
        clustering: Mapping = _CLUSTERING,
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
        if passes is not None and passes < 1:
            raise ConfigError(f'NeighborSoftLabeler: passes must be at least 1 or None, got {passes}')
        self.clustering = build_clustering('NeighborSoftLabeler', clustering)
        self.topk = topk
        self.max_cluster_ratio = max_cluster_ratio
        self.balance = balance
        self.sharpness = sharpness
        self.passes = passes

    def __call__(self, visible: TrackletFeatures, infrared: TrackletFeatures) -> PseudoLabels:
        """Label both modalities.

        Args:
            visible: Features of the Nv visible tracklets.
            infrared: Features of the Nt infrared tracklets.

        Returns:
            Labels with separate numberings, with ``soft``, ``cross`` and ``cross.soft``. If no neighbor of a
            tracklet is in a cluster, the tracklet keeps its hard label with weight 0.

        Raises:
            ConfigError: If the clustering uses one numbering for both modalities.
            LabelingError: If there is no cluster.
        """
        labels = cluster_separately('NeighborSoftLabeler', self.clustering, visible, infrared)
        descriptors = {
            Modality.RGB: tracklet_descriptors(visible),
            Modality.IR: tracklet_descriptors(infrared),
        }
        cross = matched_cross_labels(descriptors[Modality.RGB], descriptors[Modality.IR], labels, self.passes)
        counts = {m: neighbor_count(labels.of(m), self.topk, self.max_cluster_ratio) for m in Modality}
        soft, cross_soft = {}, {}
        for own in Modality:
            for asked, wanted, result in (
                (own, labels, soft),
                (other_modality(own), cross, cross_soft),
            ):
                neighbors = nearest_rows(descriptors[own], descriptors[asked], counts[asked], own is asked)
                result[own] = self._soften(wanted.of(own), neighbors, labels.of(asked))
        self._log(counts, soft, cross_soft, labels)
        return PseudoLabels(
            rgb=labels.rgb, ir=labels.ir, shared=False, soft=soft, cross=CrossLabels(cross.rgb, cross.ir, cross_soft)
        )  # fmt: skip

    def _soften(self, wanted: np.ndarray, neighbors: np.ndarray, labels: np.ndarray) -> SoftTargets:
        """Soften labels (N,) by the labels (M,) of the neighbors (N, k)."""
        shares = overlap_shares(neighbors, labels)
        return SoftTargets(
            soft_targets(wanted, shares, self.balance), confidence_weights(wanted, shares, self.sharpness)
        )

    def _log(
        self,
        counts: Mapping[Modality, int],
        soft: Mapping[Modality, SoftTargets],
        cross_soft: Mapping[Modality, SoftTargets],
        labels: PseudoLabels,
    ) -> None:
        parts = []
        for modality in Modality:
            labelled = labels.of(modality) >= 0
            own, cross = (targets[modality].weights[labelled].mean() for targets in (soft, cross_soft))
            parts.append(
                f'{modality.value} {counts[modality]} neighbours, mean weight {own:.2f} own, {cross:.2f} cross'
            )
        print_log(f'neighbour-guided labels: {"; ".join(parts)}', logger='current')


def nearest_rows(queries: Tensor, gallery: Tensor, k: int, self_first: bool = False) -> np.ndarray:
    """int64 (N, min(k, M)) indices into the gallery (M, D) of L2-normalized rows, nearest first."""
    return nearest_by_inner_product(queries, gallery, k, self_first)[1].cpu().numpy()
