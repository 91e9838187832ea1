"""Labeler for the inter-modality phase of GUR: clusters all tracklets jointly."""

import torch

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.clustering_settings import COMMON_CLUSTERING
from dscreid.pseudo_labels.context import LabelingContext
from dscreid.pseudo_labels.descriptors import tracklet_descriptors
from dscreid.pseudo_labels.jaccard_clustering import (
    check_any_cluster,
    clustering_of,
    finite_descriptors,
)
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.pseudo_labels.proxy_affinity import proxy_affinities
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures


@LABELERS.register_module()
class JointLabeler:
    """Describe every tracklet by its affinity to the clusters of both modalities, and cluster all jointly.

    The descriptor is ``[softmax(scale n(x) . M_v), softmax(scale n(x) . M_t)]``, where M are the cluster
    memories trained in the previous epoch, so this cannot be the first labeler. If the previous labels were
    shared, both halves are equal.

    Each of ``k1``, ``k2``, ``eps`` and ``min_samples`` may be ``'auto'``, as in ``ClusterLabeler``.

    Args:
        scale: Positive factor of the cosine similarities, the reciprocal of the loss temperature of 0.05.
        k1: Number of neighbors in the Jaccard distance.
        k2: Number of rows averaged in its query expansion, 1 for none.
        eps: DBSCAN radius, in (0, 1). The released code uses 0.6 for SYSU-MM01 and 0.3 for RegDB.
        min_samples: Number of tracklets within ``eps``, including the tracklet itself, that make it a core
            point.

    Example (config)::

        labelers = [dict(cycle=[dict(type='ClusterLabeler', eps=0.6), dict(type='JointLabeler', eps=0.6)])]
    """

    needs_context = True
    common_settings = COMMON_CLUSTERING
    #: ClusterHook rejects this labeler in the first epoch, which has no centers.
    needs_centers = True

    def __init__(
        self,
        scale: float = 20.0,
        k1: int | str = 30,
        k2: int | str = 6,
        eps: float | str = 0.6,
        min_samples: int | str = 4,
    ) -> None:
        if scale <= 0:
            raise ConfigError(f'JointLabeler: scale must be positive, got {scale}')
        self.scale = scale
        self.clustering = clustering_of('JointLabeler', k1=k1, k2=k2, eps=eps, min_samples=min_samples)

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext
    ) -> PseudoLabels:
        """Label both modalities.

        Args:
            visible: Features of the Nv visible tracklets.
            infrared: Features of the Nt infrared tracklets.
            context: Context with the centers of the previous epoch.

        Returns:
            Shared labels from 0 without gaps. A cluster may have members in only one modality.

        Raises:
            ConfigError: If there are no centers yet.
            LabelingError: If no tracklet of a modality is in a cluster.
        """
        if context.centers is None:
            raise ConfigError(
                'JointLabeler: there are no cluster centres before the first epoch; begin with another labeler, such '
                'as ClusterLabeler'
            )
        proxies = [tracklet_descriptors(context.centers[modality]) for modality in Modality]
        tracklets = torch.cat(
            [finite_descriptors(visible, Modality.RGB), finite_descriptors(infrared, Modality.IR)]
        )
        labels = self.clustering(
            torch.cat([proxy_affinities(tracklets, part, scale=self.scale) for part in proxies], dim=1),
            'both modalities',
        )
        rgb, ir = labels[: len(visible)], labels[len(visible) :]
        for modality, values in ((Modality.RGB, rgb), (Modality.IR, ir)):
            check_any_cluster(
                'JointLabeler', values, modality, 'loosen it (larger eps, smaller min_samples or k1)'
            )
        return PseudoLabels(rgb=rgb, ir=ir, shared=True)
