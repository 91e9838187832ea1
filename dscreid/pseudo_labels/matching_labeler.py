"""Labeler for the second stage of PGM: clusters per modality, matched progressively."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.descriptors import (
    build_clustering,
    cluster_separately,
    mean_descriptors,
    tracklet_descriptors,
)
from dscreid.pseudo_labels.labels import CrossLabels, PseudoLabels
from dscreid.pseudo_labels.matching import match_clusters_progressively
from dscreid.registry import LABELERS
from dscreid.structures import TrackletFeatures

_CLUSTERING = MappingProxyType({'type': 'ClusterLabeler'})


@LABELERS.register_module()
class MatchingLabeler:
    """Cluster each modality, and give each tracklet the partner of its cluster in the other modality (PGM).

    The labels are those of the clustering, with a separate numbering for each modality. The partners are
    stored in ``cross``. See :func:`dscreid.pseudo_labels.matching.match_clusters_progressively`.

    Args:
        clustering: Config of the labeler that clusters each modality.
        passes: Maximum number of assignments. None repeats until every cluster has a partner. The released
            code uses 2.
        mirror: Whether there may be more infrared than visible clusters. False is the behavior of the code
            for SYSU-MM01.

    Example (config)::

        labeler = dict(type='MatchingLabeler', clustering=dict(type='ClusterLabeler', eps=0.6))
    """

    def __init__(
        self, clustering: Mapping = _CLUSTERING, passes: int | None = None, mirror: bool = True
    ) -> None:
        if passes is not None and passes < 1:
            raise ConfigError(f'MatchingLabeler: passes must be at least 1 or None, got {passes}')
        self.clustering = build_clustering('MatchingLabeler', clustering)
        self.passes = passes
        self.mirror = mirror

    def __call__(self, visible: TrackletFeatures, infrared: TrackletFeatures) -> PseudoLabels:
        """Label both modalities.

        Args:
            visible: Features of the Nv visible tracklets.
            infrared: Features of the Nt infrared tracklets.

        Returns:
            Labels with separate numberings, and ``cross``. Outliers have no cross label.

        Raises:
            ConfigError: If the clustering uses one numbering for both modalities.
            LabelingError: If there is no cluster.
        """
        labels = cluster_separately('MatchingLabeler', self.clustering, visible, infrared)
        descriptors = tracklet_descriptors(visible), tracklet_descriptors(infrared)
        cross = matched_cross_labels(*descriptors, labels, self.passes, self.mirror)
        return PseudoLabels(rgb=labels.rgb, ir=labels.ir, shared=False, cross=cross)


def matched_cross_labels(
    visible: Tensor, infrared: Tensor, labels: PseudoLabels, passes: int | None = None, mirror: bool = True
) -> CrossLabels:
    """Find each tracklet's cluster in the other modality by progressive matching of mean descriptors.

    Args:
        visible: Float (Nv, D), descriptors of the visible tracklets.
        infrared: Float (Nt, D), descriptors of the infrared tracklets.
        labels: Clusters of both modalities, each numbered from 0 without gaps, at least one in each modality.
        passes: See :func:`match_clusters_progressively`.
        mirror: See :func:`match_clusters_progressively`.
    """
    centers = mean_descriptors(visible, labels.rgb), mean_descriptors(infrared, labels.ir)
    rgb_to_ir, ir_to_rgb = match_clusters_progressively(*centers, passes, mirror)
    return CrossLabels(rgb=_translated(labels.rgb, rgb_to_ir), ir=_translated(labels.ir, ir_to_rgb))


def _translated(labels: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """int64 (N,), the partner of each label; -1 for an outlier."""
    return np.where(labels >= 0, partners[labels], -1)
