"""Labeler for the inter-camera phase of GUR: clusters each modality by affinities to the cameras' cluster centers."""

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
class ProxyAffinityLabeler:
    """Cluster each modality by the affinities of its tracklets to the cluster centers of each camera.

    The previous epoch must have used ``CameraLabeler``, whose trained centers are read. See
    :func:`dscreid.pseudo_labels.proxy_affinity.proxy_affinities`.

    Each of ``k1``, ``k2``, ``eps`` and ``min_samples`` may be ``'auto'``, as in ``ClusterLabeler``.

    Args:
        scale: Positive factor of the cosine similarities.
        k1: Number of neighbors in the Jaccard distance.
        k2: Number of rows averaged in its query expansion, 1 for none.
        eps: DBSCAN radius, in (0, 1).
        min_samples: Number of tracklets within ``eps``, including the tracklet itself, that make it a core
            point.

    Example (config)::

        labelers = [dict(cycle=[dict(type='CameraLabeler', eps=0.55), dict(type='ProxyAffinityLabeler', eps=0.6)])]
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
            raise ConfigError(f'ProxyAffinityLabeler: scale must be positive, got {scale}')
        self.scale = scale
        self.clustering = clustering_of(
            'ProxyAffinityLabeler', k1=k1, k2=k2, eps=eps, min_samples=min_samples
        )

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext
    ) -> PseudoLabels:
        """Label both modalities.

        Args:
            visible: Features of the Nv visible tracklets.
            infrared: Features of the Nt infrared tracklets.
            context: Context with centers and groups from an epoch of ``CameraLabeler``.

        Returns:
            Labels with separate numberings, each from 0 without gaps.

        Raises:
            ConfigError: If the previous epoch had no camera clusters.
            LabelingError: If a modality has no cluster.
        """
        if context.centers is None or context.groups is None:
            raise ConfigError(
                f'ProxyAffinityLabeler: epoch {context.epoch + 1} does not follow one of CameraLabeler, whose clusters '
                'it compares tracklets with; put it after CameraLabeler in a cycle'
            )
        rgb = self._cluster(visible, Modality.RGB, context)
        ir = self._cluster(infrared, Modality.IR, context)
        return PseudoLabels(rgb=rgb, ir=ir, shared=False)

    def _cluster(self, features: TrackletFeatures, modality: Modality, context: LabelingContext):
        """int64 (N,), labels of one modality."""
        proxies = tracklet_descriptors(context.centers[modality])
        descriptors = finite_descriptors(features, modality)
        labels = self.clustering(
            proxy_affinities(descriptors, proxies, context.groups[modality], self.scale), modality.value
        )
        check_any_cluster(
            'ProxyAffinityLabeler', labels, modality, 'loosen it (larger eps, smaller min_samples or k1)'
        )
        return labels
