"""Labelers for the later phases of GUR, which describe tracklets by their affinity to trained cluster centers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.clustering.dbscan import cluster
from dscreid.pseudo_labels.clustering.density import chosen_settings
from dscreid.pseudo_labels.clustering.settings import COMMON_CLUSTERING, fixed_settings
from dscreid.pseudo_labels.descriptors import check_finite, tracklet_descriptors
from dscreid.pseudo_labels.labelers.base import Labeler, LabelingContext
from dscreid.pseudo_labels.proxy_affinity import proxy_affinities
from dscreid.registry import LABELERS
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures


class _AffinityLabeler(Labeler):
    """Common part of both: settings, and clustering of affinities."""

    needs_context = True
    needs_centers = True
    common_settings = COMMON_CLUSTERING

    def __init__(
        self,
        scale: float = 20.0,
        k1: int | str = 30,
        k2: int | str = 6,
        eps: float | str = 0.6,
        min_samples: int | str = 4,
    ) -> None:
        name = type(self).__name__
        if scale <= 0:
            raise ConfigError(f'{name}: scale must be positive, got {scale}')
        self.scale = scale
        #: The settings that are not ``'auto'``.
        self.fixed = fixed_settings(name, k1=k1, k2=k2, eps=eps, min_samples=min_samples)

    def _cluster(self, affinities: Tensor, name: str) -> np.ndarray:
        return cluster(affinities, chosen_settings(affinities, self.fixed, name))

    def _check(self, labels: np.ndarray, modality: Modality) -> None:
        if not (labels >= 0).any():
            raise self._no_cluster(len(labels), modality, 'use a larger eps or a smaller min_samples or k1')


@LABELERS.register_module()
class JointLabeler(_AffinityLabeler):
    """Describe every tracklet by its affinity to the clusters of both modalities, and cluster all jointly.

    The descriptor is ``[softmax(scale n(x) . M_v), softmax(scale n(x) . M_t)]``, where M are the cluster
    memories trained in the previous epoch, so this cannot be the first labeler. If the previous labels were
    shared, both halves are equal. The released code uses ``eps=0.6`` for SYSU-MM01 and 0.3 for RegDB.

    Args:
        scale: Positive factor of the cosine similarities, the reciprocal of the loss temperature of 0.05.
        k1: As in ``ClusterLabeler``, like ``k2``, ``eps`` and ``min_samples``; each may be ``'auto'``.
        k2: See ``k1``.
        eps: See ``k1``.
        min_samples: See ``k1``.

    Example (config)::

        labelers = [dict(cycle=[dict(type='ClusterLabeler', eps=0.6), dict(type='JointLabeler', eps=0.6)])]
    """

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label both modalities jointly, from 0 without gaps. A cluster may have members in only one modality."""
        centers = self._given(context).centers
        if centers is None:
            raise ConfigError(
                'JointLabeler: there are no cluster centers before the first epoch; begin with another labeler, such '
                'as ClusterLabeler'
            )
        tracklets = torch.cat(
            [
                check_finite(tracklet_descriptors(features), modality)
                for modality, features in zip(Modality, (visible, infrared), strict=True)
            ]
        )
        parts = [tracklet_descriptors(centers[modality]) for modality in Modality]
        affinities = torch.cat([proxy_affinities(tracklets, part, scale=self.scale) for part in parts], dim=1)
        labels = self._cluster(affinities, 'both modalities')
        rgb, ir = labels[: len(visible)], labels[len(visible) :]
        self._check(rgb, Modality.RGB)
        self._check(ir, Modality.IR)
        return PseudoLabels(rgb=rgb, ir=ir, shared=True)


@LABELERS.register_module()
class ProxyAffinityLabeler(_AffinityLabeler):
    """Cluster each modality by the affinities of its tracklets to the cluster centers of each camera.

    The previous epoch must have used ``CameraLabeler``, whose trained centers are read. The arguments are those of
    ``JointLabeler``. See :func:`dscreid.pseudo_labels.proxy_affinity.proxy_affinities`.
    """

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label each modality from 0 without gaps, after an epoch of ``CameraLabeler``."""
        context = self._given(context)
        if context.centers is None or context.groups is None:
            raise ConfigError(
                f'ProxyAffinityLabeler: it needs the clusters of CameraLabeler, which did not label the epoch before '
                f'epoch {context.epoch + 1}; put it after CameraLabeler in a cycle'
            )
        labels: dict[str, Any] = {}
        for modality, features in ((Modality.RGB, visible), (Modality.IR, infrared)):
            descriptors = check_finite(tracklet_descriptors(features), modality)
            proxies = tracklet_descriptors(context.centers[modality])
            affinities = proxy_affinities(descriptors, proxies, context.groups[modality], self.scale)
            labels[modality.value] = self._cluster(affinities, modality.value)
            self._check(labels[modality.value], modality)
        return PseudoLabels(**labels, shared=False)
