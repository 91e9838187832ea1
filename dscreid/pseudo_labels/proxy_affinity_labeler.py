"""Labeler of GUR's inter-camera phase: clusters of each modality by affinity to the cameras' centers."""

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
    """Cluster each modality on the affinities of its tracklets to the centers of each camera's clusters.

    Its epoch follows one of ``CameraLabeler``, whose trained centers it reads. See
    :func:`dscreid.pseudo_labels.proxy_affinity.proxy_affinities`.

    Args:
        scale: Factor of the cosines, positive.
        k1: Neighbors of the Jaccard distance.
        k2: Rows averaged in its query expansion, 1 for none.
        eps: DBSCAN radius, in (0, 1).
        min_samples: Tracklets within ``eps``, itself included, that make a core. Each of these four may be ``'auto'``,
            as in ``ClusterLabeler``.

    Example (config)::

        labelers = [dict(cycle=[dict(type='CameraLabeler', eps=0.55), dict(type='ProxyAffinityLabeler', eps=0.6)])]
    """

    needs_context = True
    common_settings = COMMON_CLUSTERING
    #: ClusterHook refuses it in the first epoch, which has no centers.
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
            context: Centers and their groups, from an epoch of ``CameraLabeler``.

        Returns:
            Labels in two separate numberings, each from 0 without gaps.

        Raises:
            ConfigError: The epoch before had no camera clusters.
            LabelingError: A modality has no cluster.
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
