"""Labelers for the phases of GUR: clusters within each camera, then affinities to the trained cluster centers."""

import logging
from collections.abc import Mapping

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.clustering.dbscan import cluster
from dscreid.pseudo_labels.clustering.density import chosen_settings
from dscreid.pseudo_labels.clustering.settings import COMMON_CLUSTERING, fixed_settings
from dscreid.pseudo_labels.descriptors import modality_descriptors, proxy_affinities, tracklet_descriptors
from dscreid.pseudo_labels.labelers.base import Labeler, LabelingContext
from dscreid.registry import LABELERS
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures

_WITHOUT_CAMERAS = 'use GUR without cameras (ClusterLabeler instead)'
_LOOSER = 'use a larger eps or a smaller min_samples or k1'


@LABELERS.register_module()
class CameraLabeler(Labeler):
    """Cluster the tracklets of each camera separately; clusters are only contrasted within their camera.

    All cameras train in one epoch, unlike in the released code, and ``PseudoLabels.groups`` keeps them apart in the
    identity loss. A camera without a cluster is logged, and its tracklets are outliers in this epoch. ``k1``,
    ``k2``, ``eps`` and ``min_samples`` are those of ``ClusterLabeler``. The released code uses ``eps=0.55``.

    Example (config)::

        labelers = [dict(cycle=[dict(type='CameraLabeler', eps=0.55), dict(type='ProxyAffinityLabeler', eps=0.6)])]
    """

    needs_context = True
    common_settings = COMMON_CLUSTERING

    def __init__(
        self, k1: int | str = 30, k2: int | str = 6, eps: float | str = 0.55, min_samples: int | str = 4
    ) -> None:
        self.fixed = fixed_settings('CameraLabeler', k1=k1, k2=k2, eps=eps, min_samples=min_samples)

    def check_cameras(self, cameras: Mapping[Modality, np.ndarray]) -> None:
        """Raise ConfigError if a modality has no camera with enough tracklets to form a cluster."""
        fewest = self.fixed.get('min_samples', 2)
        for modality in Modality:
            numbers, counts = np.unique(cameras[modality], return_counts=True)
            most = counts.max(initial=0)
            if most < fewest:
                lower = 'lower min_samples, or ' if 'min_samples' in self.fixed else ''
                raise ConfigError(
                    f'CameraLabeler: a cluster needs {fewest} {modality.value} tracklets of one camera, but the '
                    f'largest of {len(numbers)} cameras has {most}; {lower}{_WITHOUT_CAMERAS}'
                )

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label each modality from 0 without gaps. The group of a cluster is its camera."""
        cameras = self._given(context).cameras
        labels, groups = {}, {}
        for modality, descriptors in modality_descriptors(visible, infrared).items():
            found, owners = self._cluster_cameras(descriptors, cameras[modality])
            self._check_clustered(found, modality, f'{_LOOSER}, or {_WITHOUT_CAMERAS}')
            if len(empty := np.setdiff1d(cameras[modality], owners)):
                which = f'{modality.value} cameras {", ".join(map(str, empty))} have no cluster'
                message = f'CameraLabeler: {which}; their tracklets are left out of this epoch'
                print_log(message, logger='current', level=logging.WARNING)
            labels[modality], groups[modality] = found, owners
        return PseudoLabels(rgb=labels[Modality.RGB], ir=labels[Modality.IR], shared=False, groups=groups)

    def _cluster_cameras(self, descriptors: Tensor, cameras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int64 (N,) labels, numbered in ascending order of the cameras, and int64 (C,) cameras of the clusters."""
        labels = np.full(len(cameras), -1, np.int64)
        groups: list[int] = []
        for camera in np.unique(cameras):
            rows = np.flatnonzero(cameras == camera)
            part = descriptors[torch.from_numpy(rows).to(descriptors.device)]
            found = cluster(part, chosen_settings(part, self.fixed))
            labels[rows] = np.where(found >= 0, found + len(groups), -1)
            groups += [int(camera)] * (int(found.max(initial=-1)) + 1)
        return labels, np.array(groups, np.int64)


class _AffinityLabeler(Labeler):
    """Base class of labelers that cluster affinities to the cluster centers of the previous epoch."""

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
        if scale <= 0:
            raise ConfigError(f'{type(self).__name__}: scale must be positive, got {scale}')
        self.scale = scale
        self.fixed = fixed_settings(type(self).__name__, k1=k1, k2=k2, eps=eps, min_samples=min_samples)

    def _checked(self, rgb: np.ndarray, ir: np.ndarray, shared: bool) -> PseudoLabels:
        self._check_clustered(rgb, Modality.RGB, _LOOSER)
        self._check_clustered(ir, Modality.IR, _LOOSER)
        return PseudoLabels(rgb=rgb, ir=ir, shared=shared)


@LABELERS.register_module()
class JointLabeler(_AffinityLabeler):
    """Describe every tracklet by its affinity to the clusters of both modalities, and cluster all jointly.

    The descriptor is ``[softmax(scale n(x) . M_v), softmax(scale n(x) . M_t)]``, where M are the cluster memories
    trained in the previous epoch, so this cannot be the first labeler. A cluster may have members in only one modality.
    The released code uses ``eps=0.6`` for SYSU-MM01 and 0.3 for RegDB.

    ``scale`` is the reciprocal of the loss temperature; the other arguments are those of ``ClusterLabeler``.

    Example (config)::

        labelers = [dict(cycle=[dict(type='ClusterLabeler', eps=0.6), dict(type='JointLabeler', eps=0.6)])]
    """

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label both modalities jointly, from 0 without gaps."""
        centers = self._given(context).centers
        if centers is None:
            raise ConfigError('JointLabeler: there are no centers before the first epoch; begin with ClusterLabeler')
        tracklets = torch.cat(list(modality_descriptors(visible, infrared).values()))
        parts = [tracklet_descriptors(centers[modality]) for modality in Modality]
        affinities = torch.cat([proxy_affinities(tracklets, part, scale=self.scale) for part in parts], dim=1)
        labels = cluster(affinities, chosen_settings(affinities, self.fixed, 'both modalities'))
        return self._checked(labels[: len(visible)], labels[len(visible) :], shared=True)


@LABELERS.register_module()
class ProxyAffinityLabeler(_AffinityLabeler):
    """Cluster each modality by the affinities of its tracklets to the cluster centers of each camera.

    The previous epoch must have used ``CameraLabeler``, whose trained centers are read. The arguments are those of
    ``JointLabeler``. See :func:`dscreid.pseudo_labels.proxy_affinities`.
    """

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label each modality from 0 without gaps, after an epoch of ``CameraLabeler``."""
        context = self._given(context)
        if context.centers is None or context.groups is None:
            raise ConfigError(
                f'ProxyAffinityLabeler: the epoch before epoch {context.epoch + 1} was not labeled by CameraLabeler; '
                'put it after CameraLabeler in a cycle'
            )
        labels = []
        for modality, descriptors in modality_descriptors(visible, infrared).items():
            proxies = tracklet_descriptors(context.centers[modality])
            affinities = proxy_affinities(descriptors, proxies, context.groups[modality], self.scale)
            labels.append(cluster(affinities, chosen_settings(affinities, self.fixed, modality.value)))
        return self._checked(labels[0], labels[1], shared=False)
