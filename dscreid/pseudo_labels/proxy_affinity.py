"""Tracklets described by their affinity to cluster centers, the descriptors of GUR's later phases."""

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import as_feature_matrix, normalized_rows

Features = Tensor | np.ndarray


def proxy_affinities(
    features: Features, proxies: Features, groups: np.ndarray | None = None, scale: float = 20.0
) -> Tensor:
    """Softmax over the proxies of each group of scale * cosine (Yang et al., ICCV 2023).

    With the camera of each proxy as its group this is the description z of GUR's inter-camera phase, with each slice
    as wide as its camera has proxies. The released code stores cumulative sizes and uses them as widths, so that from
    the second visible camera on its slices coincide with no camera; that is not reproduced. Nor is its use of z
    without normalization in a distance that presumes unit rows: :func:`jaccard_distance` normalizes.

    Args:
        features: Float (N, D); rows of both matrices are L2-normalized inside.
        proxies: Float (C, D), at least one.
        groups: int64 (C,), group of each proxy, in any order; None: one group of all.
        scale: Factor of the cosines, positive; the reciprocal of the loss's temperature of 0.05.

    Returns:
        Float (N, C) on the device of the features, columns as the proxies; the entries of a group sum to 1 in each row.

    Raises:
        ValueError: Shapes do not fit, features are not finite, there is no proxy, or ``scale`` is not positive.
    """
    features = normalized_rows(as_feature_matrix(features, 'features'))
    proxies = normalized_rows(as_feature_matrix(proxies, 'proxies')).to(features)
    groups = np.zeros(len(proxies), np.int64) if groups is None else np.asarray(groups)
    if not len(proxies) or features.shape[1] != proxies.shape[1] or groups.shape != (len(proxies),):
        raise ValueError(
            'there must be at least one proxy, of the dimension of the features, with one group each, got features '
            f'{tuple(features.shape)}, proxies {tuple(proxies.shape)} and groups {groups.shape}'
        )
    if scale <= 0:
        raise ValueError(f'scale must be positive, got {scale}')
    affinities = scale * features @ proxies.T
    for group in np.unique(groups):
        columns = torch.from_numpy(np.flatnonzero(groups == group)).to(features.device)
        affinities[:, columns] = affinities[:, columns].softmax(dim=1)
    return affinities
