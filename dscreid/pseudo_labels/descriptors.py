"""Descriptors of tracklets, their means per cluster, and their affinities to cluster centers."""

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import Features, as_feature_matrix, normalized_rows
from dscreid.structures import Modality, TrackletFeatures


def joined_halves(features: TrackletFeatures) -> Tensor:
    """Float (N, 2 D): both halves L2-normalized, then concatenated, so that they have the same weight."""
    return torch.cat([normalized_rows(half) for half in (features.static, features.dynamic)], dim=1)


def tracklet_descriptors(features: TrackletFeatures) -> Tensor:
    """Float (N, 2 D): :func:`joined_halves`, L2-normalized again."""
    return normalized_rows(joined_halves(features))


def modality_descriptors(visible: TrackletFeatures, infrared: TrackletFeatures) -> dict[Modality, Tensor]:
    """Float (N, 2 D) of each modality: :func:`tracklet_descriptors`."""
    return dict(zip(Modality, map(tracklet_descriptors, (visible, infrared)), strict=True))


def mean_descriptors(descriptors: Tensor, labels: np.ndarray) -> Tensor:
    """Mean of each cluster's descriptors, float (C, D) on the CPU, where the order of summation is fixed.

    Clusters of float (N, D) descriptors are numbered from 0 without gaps; outliers (-1) are ignored.
    """
    rows = descriptors.cpu()
    numbers = torch.from_numpy(labels)
    member = numbers >= 0
    sizes = torch.bincount(numbers[member])
    sums = rows.new_zeros(len(sizes), rows.shape[1])
    return sums.index_add_(0, numbers[member], rows[member]) / sizes[:, None]


def proxy_affinities(
    features: Features, proxies: Features, groups: np.ndarray | None = None, scale: float = 20.0
) -> Tensor:
    """Softmax of scale * cosine over the proxies of each group (Yang et al., ICCV 2023).

    If the group of a proxy is its camera, this is the descriptor of the inter-camera phase of GUR. Unlike in the
    released code, the slices match the cameras from the second visible camera on.

    Rows of float (N, D) features and (C, D) proxies are L2-normalized internally. ``groups``, int64 (C,), is the group
    of each proxy (None: all in one), ``scale`` the reciprocal of the loss temperature of 0.05.

    Returns float (N, C) on the device of the features. In each row, the entries of a group sum to 1.
    """
    features = normalized_rows(as_feature_matrix(features, 'features'))
    proxies = normalized_rows(as_feature_matrix(proxies, 'proxies')).to(features)
    groups = np.zeros(len(proxies), np.int64) if groups is None else groups
    affinities = scale * features @ proxies.T
    for group in np.unique(groups):
        columns = torch.from_numpy(np.flatnonzero(groups == group)).to(features.device)
        affinities[:, columns] = affinities[:, columns].softmax(dim=1)
    return affinities
