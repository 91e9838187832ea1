"""Labeler for the intra-camera phase of GUR: clusters each camera of each modality separately."""

import logging
from collections.abc import Callable, Mapping

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.clustering.dbscan import cluster
from dscreid.pseudo_labels.clustering.density import chosen_settings
from dscreid.pseudo_labels.clustering.settings import COMMON_CLUSTERING, fixed_settings
from dscreid.pseudo_labels.descriptors import check_finite, tracklet_descriptors
from dscreid.pseudo_labels.labelers.base import Labeler, LabelingContext
from dscreid.registry import LABELERS
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures

_WITHOUT_CAMERAS = 'use GUR without cameras (ClusterLabeler instead)'


@LABELERS.register_module()
class CameraLabeler(Labeler):
    """Cluster the tracklets of each camera separately; clusters are only contrasted within their camera.

    The released code of GUR trains one pair of a visible and an infrared camera after another, each
    separately. Here, all cameras train in one epoch, and ``PseudoLabels.groups`` keeps them apart in the
    identity loss. A camera without a cluster is logged, and its tracklets are outliers in this epoch.

    Args:
        k1: As in ``ClusterLabeler``, like the following; each may be ``'auto'``.
        k2: See ``k1``.
        eps: See ``k1``. The released code uses 0.55.
        min_samples: See ``k1``.

    Example (config)::

        labelers = [dict(cycle=[dict(type='CameraLabeler', eps=0.55), dict(type='ProxyAffinityLabeler', eps=0.6)])]
    """

    needs_context = True
    common_settings = COMMON_CLUSTERING

    def __init__(
        self, k1: int | str = 30, k2: int | str = 6, eps: float | str = 0.55, min_samples: int | str = 4
    ) -> None:
        #: The settings that are not ``'auto'``.
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
        context = self._given(context)
        labels, groups = {}, {}
        for modality, features in ((Modality.RGB, visible), (Modality.IR, infrared)):
            cameras = context.cameras[modality]
            descriptors = check_finite(tracklet_descriptors(features), modality)
            labels[modality], groups[modality] = cluster_cameras(
                descriptors, cameras, lambda rows: cluster(rows, chosen_settings(rows, self.fixed))
            )
            if not len(groups[modality]):
                remedy = f'use a larger eps or a smaller min_samples or k1, or {_WITHOUT_CAMERAS}'
                raise self._no_cluster(len(descriptors), modality, remedy)
            _log(modality, np.setdiff1d(cameras, groups[modality]), len(np.unique(cameras)))
        return PseudoLabels(rgb=labels[Modality.RGB], ir=labels[Modality.IR], shared=False, groups=groups)


def cluster_cameras(
    descriptors: Tensor, cameras: np.ndarray, cluster: Callable[[Tensor], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster the rows of each camera separately.

    Args:
        descriptors: Float (N, D).
        cameras: int64 (N,), camera of each row.
        cluster: Function from float (n, D) to int64 (n,) labels, numbered from 0 without gaps, -1 = outlier.

    Returns:
        ``labels`` int64 (N,), numbered from 0 without gaps in ascending order of the cameras, -1 = outlier,
        and ``groups`` int64 (C,), the camera of each cluster.

    Raises:
        ValueError: If there is not exactly one camera per row.
    """
    cameras = np.asarray(cameras, np.int64)
    if cameras.shape != (len(descriptors),):
        raise ValueError(f'{len(descriptors)} descriptors but cameras of shape {cameras.shape}')
    labels = np.full(len(cameras), -1, np.int64)
    groups: list[int] = []
    for camera in np.unique(cameras):
        rows = np.flatnonzero(cameras == camera)
        found = cluster(descriptors[torch.from_numpy(rows).to(descriptors.device)])
        labels[rows] = np.where(found >= 0, found + len(groups), -1)
        groups += [int(camera)] * (int(found.max(initial=-1)) + 1)
    return labels, np.array(groups, np.int64)


def _log(modality: Modality, empty: np.ndarray, num_cameras: int) -> None:
    if len(empty):
        print_log(
            f'CameraLabeler: {len(empty)} of {num_cameras} {modality.value} cameras have no cluster; their tracklets '
            f'are left out of this epoch: {", ".join(map(str, empty))}',
            logger='current',
            level=logging.WARNING,
        )
