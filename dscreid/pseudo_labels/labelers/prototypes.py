"""Labelers of RPNR and HIL: labels corrected by prototypes, and labels of the nearest infrared center."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels.descriptors import mean_descriptors
from dscreid.pseudo_labels.labelers.base import SeparateLabeler
from dscreid.pseudo_labels.matching import match_clusters_by_transport
from dscreid.pseudo_labels.prototypes import (
    calibrated_labels,
    check_samples,
    cluster_prototypes,
    nearest_center_labels,
)
from dscreid.registry import LABELERS
from dscreid.structures import CrossLabels, Modality, PseudoLabels


@LABELERS.register_module()
@dataclass(eq=False)
class PrototypeLabeler(SeparateLabeler):
    """Cluster each modality, correct the labels by prototypes, and match centers by optimal transport (RPNR).

    Centers stay those of the clusters, as ``center_labels`` say; batches and losses use the corrected labels. ``cross``
    holds the partner of each corrected label, ``partners`` that of every infrared cluster, for a hybrid memory. See
    :func:`~dscreid.pseudo_labels.cluster_prototypes` and :func:`~dscreid.pseudo_labels.match_clusters_by_transport`.
    """

    #: Members that form a prototype: an int is a number (20 in the released code, where clusters have some thirty
    #: images or more), a float in (0, 1] a share of the cluster; None leaves the labels as they are.
    samples: int | float | None = 20
    threshold: float = 0.5  #: cosine similarity in [-1, 1] above which members are similar, as in the released code
    regularization: float = 5.0  #: weight of the entropy of the transport plan, as in the released code
    tolerance: float = 1e-5  #: tolerance of the Sinkhorn iteration
    max_steps: int = 5000  #: maximum number of Sinkhorn steps, as in the released code

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        super().__post_init__(clustering)
        if self.samples is not None:
            try:
                check_samples(self.samples)
            except ValueError as error:
                raise ConfigError(f'PrototypeLabeler: {error}') from None
        if not -1 <= self.threshold <= 1 or min(self.regularization, self.max_steps) <= 0 or self.tolerance < 0:
            raise ConfigError(
                'PrototypeLabeler: needs threshold in [-1, 1], regularization > 0, max_steps >= 1 and tolerance >= 0, '
                f'got {self}'
            )

    def _related(self, labels: PseudoLabels, descriptors: Mapping[Modality, Tensor]) -> PseudoLabels:
        rgb, ir = (self._calibrated(labels.of(m), descriptors[m], m) for m in Modality)
        visible, infrared = (mean_descriptors(descriptors[m], labels.of(m)) for m in Modality)
        settings = self.regularization, self.tolerance, self.max_steps
        rgb_to_ir, ir_to_rgb, converged = match_clusters_by_transport(visible, infrared, *settings)
        if not converged:
            print_log(
                f'transport of {len(visible)} visible to {len(infrared)} infrared clusters did not converge in '
                f'{self.max_steps} steps and is used as it is; raise max_steps or regularization',
                logger='current',
                level=logging.WARNING,
            )
        return replace(
            labels,
            rgb=rgb,
            ir=ir,
            cross=CrossLabels(np.where(rgb >= 0, rgb_to_ir[rgb], -1), np.where(ir >= 0, ir_to_rgb[ir], -1)),
            partners=ir_to_rgb,
            center_labels={m: labels.of(m) for m in Modality},
        )

    def _calibrated(self, labels: np.ndarray, descriptors: Tensor, modality: Modality) -> np.ndarray:
        if self.samples is None:
            return labels
        prototypes, share = cluster_prototypes(descriptors, labels, self.samples, self.threshold)
        calibrated = calibrated_labels(descriptors, labels, prototypes)
        print_log(
            f'prototypes: {(calibrated != labels)[labels >= 0].mean():.1%} of the clustered {modality.value} tracklets '
            f'change their label; {share:.1%} of the pairs in a cluster reach a cosine of {self.threshold:g}',
            logger='current',
        )
        return calibrated


@LABELERS.register_module()
@dataclass(eq=False)
class NearestCenterLabeler(SeparateLabeler):
    """Cluster each modality, and give visible tracklets the label of the nearest infrared center (labels of HIL).

    The labels are shared, in the infrared numbering. Visible tracklets that are outliers, or too far from the center,
    get none. The rest of HIL (arXiv:2509.11587) is not implemented. See
    :func:`dscreid.pseudo_labels.nearest_center_labels`.
    """

    ratio: float = 0.5  #: similarity to the center, as a share of the largest of any visible tracklet, in [0, 1]

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        super().__post_init__(clustering)
        if not 0 <= self.ratio <= 1:
            raise ConfigError(f'NearestCenterLabeler: ratio must lie in [0, 1], got {self.ratio}')

    def _related(self, labels: PseudoLabels, descriptors: Mapping[Modality, Tensor]) -> PseudoLabels:
        centers = mean_descriptors(descriptors[Modality.IR], labels.ir)
        rgb = nearest_center_labels(descriptors[Modality.RGB], labels.rgb, centers, self.ratio)
        if not (rgb >= 0).any():
            raise LabelingError('NearestCenterLabeler: no visible tracklet is near an infrared center; lower ratio')
        return replace(labels, rgb=rgb, shared=True)
