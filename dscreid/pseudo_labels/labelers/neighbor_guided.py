"""Labelers of both interpretations of NG: label calibration by neighbors, and dual optimal transport."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.neighbors.knn import nearest_by_inner_product
from dscreid.pseudo_labels import neighbor_soft as ng
from dscreid.pseudo_labels.descriptors import mean_descriptors
from dscreid.pseudo_labels.labelers.base import SeparateLabeler
from dscreid.pseudo_labels.labelers.matching import matched_cross_labels
from dscreid.pseudo_labels.matching import transport_labels
from dscreid.registry import LABELERS
from dscreid.structures import CrossLabels, Modality, PseudoLabels, SoftTargets

_MARGINALS = ('uniform', 'empirical')


@LABELERS.register_module()
@dataclass(eq=False)
class NeighborSoftLabeler(SeparateLabeler):
    """Cluster each modality, match progressively, and soften own and cross labels by neighbors (Teng et al.).

    Own labels are softened and weighted by the neighbors in the same modality, including the tracklet itself, and cross
    labels (those of ``MatchingLabeler``) by the neighbors in the other modality. If no neighbor is in a cluster, the
    tracklet keeps its hard label with weight 0.
    """

    topk: int = 30  #: number of neighbors of a tracklet; the released scripts use 30 for SYSU-MM01 and 20 for RegDB
    #: maximum number of neighbors as a multiple of the mean cluster size; None for no limit
    max_cluster_ratio: float | None = 2.0
    balance: float = 0.7  #: share of the hard label in a target, in [0, 1]
    sharpness: float = 10.0  #: how fast the weight decreases with the disagreement of the neighbors
    passes: int | None = None  #: maximum number of assignments; None repeats until every cluster has a partner

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        super().__post_init__(clustering)
        positive = min(self.topk, 1 if self.passes is None else self.passes) >= 1 and _is_ratio(self.max_cluster_ratio)
        if not positive or not 0 <= self.balance <= 1 or self.sharpness < 0:
            raise ConfigError(
                'NeighborSoftLabeler: needs topk and passes >= 1, max_cluster_ratio > 0, balance in [0, 1] and '
                f'sharpness >= 0, got {self}'
            )

    def _related(self, labels: PseudoLabels, descriptors: Mapping[Modality, Tensor]) -> PseudoLabels:
        cross = matched_cross_labels(descriptors, labels, self.passes)
        counts = {m: ng.neighbor_count(labels.of(m), self.topk, self.max_cluster_ratio) for m in Modality}

        def softened(own: Modality, wanted: np.ndarray, asked: Modality) -> SoftTargets:
            neighbors = _nearest_rows(descriptors[own], descriptors[asked], counts[asked], own is asked)
            shares = ng.overlap_shares(neighbors, labels.of(asked))
            targets = ng.soft_targets(wanted, shares, self.balance)
            return SoftTargets(targets, ng.confidence_weights(wanted, shares, self.sharpness))

        soft = {m: softened(m, labels.of(m), m) for m in Modality}
        cross = replace(cross, soft={m: softened(m, cross.of(m), m.other) for m in Modality})
        parts = []
        for m in Modality:
            labeled = labels.of(m) >= 0
            own, other = (targets[m].weights[labeled].mean() for targets in (soft, cross.soft))
            parts.append(f'{m.value} {counts[m]} neighbors, mean weight {own:.2f} own, {other:.2f} cross')
        print_log(f'neighbor-guided labels: {"; ".join(parts)}', logger='current')
        return replace(labels, soft=soft, cross=cross)


@LABELERS.register_module()
@dataclass(eq=False)
class TransportLabeler(SeparateLabeler):
    """Cluster each modality, and assign its tracklets to the other's clusters by optimal transport, in both directions.

    A RECONSTRUCTION of DOTLA (Cheng et al., ACM MM 2023) from summaries of the paper. The transport follows a later
    release of the same group (see :func:`dscreid.pseudo_labels.transport_labels`). The refinement by neighbors,
    including all its numbers, is guessed. The consistency loss among cross-modality neighbors is not implemented.
    """

    #: mass that clusters receive: ``uniform``, as in that release, or ``empirical``, as their sizes
    marginals: str = 'uniform'
    sharpness: float = 25.0  #: factor of the cost, as in that release
    tolerance: float = 0.1  #: tolerance of the Sinkhorn iteration, as in that release
    max_steps: int = 500  #: maximum number of Sinkhorn steps, as in that release
    topk: int = 20  #: number of neighbors in the other modality that refine a label (guessed); 0 keeps hard labels
    #: maximum number of neighbors as a multiple of the mean cluster size; None for no limit
    max_cluster_ratio: float | None = 2.0
    balance: float = 0.5  #: share of the transported label in a refined one, in [0, 1] (guessed)

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        super().__post_init__(clustering)
        if self.marginals not in _MARGINALS:
            raise ConfigError(f'TransportLabeler: marginals must be one of {_MARGINALS}, got {self.marginals!r}')
        positive = self.sharpness > 0 and self.max_steps >= 1 and _is_ratio(self.max_cluster_ratio)
        if not positive or min(self.tolerance, self.topk) < 0 or not 0 <= self.balance <= 1:
            raise ConfigError(
                'TransportLabeler: needs sharpness and max_cluster_ratio > 0, tolerance and topk >= 0, max_steps >= 1, '
                f'balance in [0, 1], got {self}'
            )

    def _related(self, labels: PseudoLabels, descriptors: Mapping[Modality, Tensor]) -> PseudoLabels:
        cross = {m: self._transported(descriptors, labels, m) for m in Modality}
        soft = {m: self._refined(descriptors, labels, m, cross[m]) for m in Modality} if self.topk else None
        return replace(labels, cross=CrossLabels(cross[Modality.RGB], cross[Modality.IR], soft))

    def _transported(
        self, descriptors: Mapping[Modality, Tensor], labels: PseudoLabels, modality: Modality
    ) -> np.ndarray:
        """int64 (N,), clusters of the other modality for the labeled tracklets of ``modality``; -1 for outliers."""
        own, other = labels.of(modality), labels.of(modality.other)
        centers = mean_descriptors(descriptors[modality.other], other)
        masses = np.bincount(other[other >= 0]) if self.marginals == 'empirical' else None
        rows = np.flatnonzero(own >= 0)
        transported = np.full(len(own), -1, np.int64)
        senders = descriptors[modality].cpu()[rows]
        settings = dict(sharpness=self.sharpness, tolerance=self.tolerance, max_steps=self.max_steps)
        transported[rows], converged = transport_labels(senders, centers, masses, **settings)
        if not converged:
            print_log(
                f'transport of {len(rows)} {modality.value} tracklets to {len(centers)} clusters did not converge in '
                f'{self.max_steps} steps and is used as it is; raise max_steps or lower sharpness',
                logger='current',
                level=logging.WARNING,
            )
        return transported

    def _refined(
        self, descriptors: Mapping[Modality, Tensor], labels: PseudoLabels, modality: Modality, transported: np.ndarray
    ) -> SoftTargets:
        other = modality.other
        k = ng.neighbor_count(labels.of(other), self.topk, self.max_cluster_ratio)
        shares = ng.label_shares(_nearest_rows(descriptors[modality], descriptors[other], k), labels.of(other))
        weights = (transported >= 0).astype(np.float32)
        return SoftTargets(ng.soft_targets(transported, shares, self.balance), weights)


def _nearest_rows(queries: Tensor, gallery: Tensor, k: int, self_first: bool = False) -> np.ndarray:
    """int64 (N, min(k, M)) indices into the gallery (M, D) of L2-normalized rows, nearest first."""
    return nearest_by_inner_product(queries, gallery, k, self_first)[1].cpu().numpy()


def _is_ratio(value: float | None) -> bool:
    return value is None or value > 0
