"""Labeler of NG, interpreted as dual optimal transport: a RECONSTRUCTION."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.descriptors import mean_descriptors
from dscreid.pseudo_labels.labelers.base import LabelingContext, SeparateLabeler
from dscreid.pseudo_labels.labelers.neighbor_soft import nearest_rows
from dscreid.pseudo_labels.neighbor_soft import label_shares, neighbor_count, soft_targets
from dscreid.pseudo_labels.transport import transport_labels
from dscreid.registry import LABELERS
from dscreid.structures import CrossLabels, Modality, PseudoLabels, SoftTargets, TrackletFeatures

_CLUSTERING: Mapping[str, Any] = MappingProxyType({'type': 'ClusterLabeler'})
_MARGINALS = ('uniform', 'empirical')


@LABELERS.register_module()
class TransportLabeler(SeparateLabeler):
    """Cluster each modality, and assign its tracklets to the other's clusters by optimal transport, in both directions.

    A RECONSTRUCTION of DOTLA (Cheng et al., ACM MM 2023) from summaries of the paper. The transport follows a
    later release of the same group (see :mod:`dscreid.pseudo_labels.transport`). The refinement of labels by
    neighbors, including all its numbers, is guessed. The third part of the paper, a consistency loss among
    cross-modality neighbors, is not implemented.

    Args:
        clustering: Config of the labeler that clusters each modality.
        marginals: Mass that clusters receive: ``uniform``, as in that release, or ``empirical``, proportional
            to their sizes.
        sharpness: Factor of the cost; 25 in that release.
        tolerance: Tolerance of the Sinkhorn iteration; 0.1 in that release.
        max_steps: Maximum number of Sinkhorn steps; 500 in that release.
        topk: Number of neighbors in the other modality that refine a label (guessed). 0 disables the
            refinement and keeps hard labels.
        max_cluster_ratio: Maximum number of neighbors as a multiple of the mean cluster size in the other
            modality. None always uses ``topk``.
        balance: Share of the transported label in a refined one, in [0, 1] (guessed).
    """

    def __init__(
        self,
        clustering: Mapping[str, Any] = _CLUSTERING,
        marginals: str = 'uniform',
        sharpness: float = 25.0,
        tolerance: float = 0.1,
        max_steps: int = 500,
        topk: int = 20,
        max_cluster_ratio: float | None = 2.0,
        balance: float = 0.5,
    ) -> None:
        if marginals not in _MARGINALS:
            raise ConfigError(f'TransportLabeler: marginals must be one of {_MARGINALS}, got {marginals!r}')
        if sharpness <= 0 or tolerance < 0 or max_steps < 1:
            raise ConfigError(
                'TransportLabeler: sharpness must be positive, tolerance not negative and max_steps at least 1, got '
                f'{sharpness}, {tolerance} and {max_steps}'
            )
        if topk < 0 or (max_cluster_ratio or 1) <= 0 or not 0 <= balance <= 1:
            raise ConfigError(
                'TransportLabeler: topk must not be negative, max_cluster_ratio positive or None, and balance in '
                f'[0, 1], got {topk}, {max_cluster_ratio} and {balance}'
            )
        super().__init__(clustering)
        self.marginals = marginals
        self.transport: dict[str, Any] = {
            'sharpness': sharpness,
            'tolerance': tolerance,
            'max_steps': max_steps,
        }
        self.topk = topk
        self.max_cluster_ratio = max_cluster_ratio
        self.balance = balance

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label each modality, with ``cross`` labels for all but outliers, and ``cross.soft`` unless ``topk`` is 0."""
        labels, descriptors = self._clusters(visible, infrared)
        cross = {m: self._transported(descriptors, labels, m) for m in Modality}
        soft = {m: self._refined(descriptors, labels, m, cross[m]) for m in Modality} if self.topk else None
        return replace(labels, cross=CrossLabels(cross[Modality.RGB], cross[Modality.IR], soft))

    def _transported(
        self, descriptors: Mapping[Modality, Tensor], labels: PseudoLabels, modality: Modality
    ) -> np.ndarray:
        """int64 (N,), clusters of the other modality for the labeled tracklets of ``modality``; -1 for outliers."""
        other = modality.other
        centers = mean_descriptors(descriptors[other], labels.of(other))
        sizes = np.bincount(labels.of(other)[labels.of(other) >= 0])
        masses = sizes if self.marginals == 'empirical' else None
        rows = np.flatnonzero(labels.of(modality) >= 0)
        transported = np.full(len(labels.of(modality)), -1, np.int64)
        transported[rows], converged = transport_labels(
            descriptors[modality].cpu()[rows], centers, masses, **self.transport
        )
        if not converged:
            print_log(
                f'transport of {len(rows)} {modality.value} tracklets to {len(centers)} clusters did not converge in '
                f'{self.transport["max_steps"]} steps and is used as it is; raise max_steps or lower sharpness',
                logger='current',
                level=logging.WARNING,
            )
        return transported

    def _refined(
        self,
        descriptors: Mapping[Modality, Tensor],
        labels: PseudoLabels,
        modality: Modality,
        transported: np.ndarray,
    ) -> SoftTargets:
        """Mix transported labels (N,) with the labels of the nearest tracklets of the other modality."""
        other = modality.other
        k = neighbor_count(labels.of(other), self.topk, self.max_cluster_ratio)
        shares = label_shares(nearest_rows(descriptors[modality], descriptors[other], k), labels.of(other))
        weights = (transported >= 0).astype(np.float32)
        return SoftTargets(soft_targets(transported, shares, self.balance), weights)
