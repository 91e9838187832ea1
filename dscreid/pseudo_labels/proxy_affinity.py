"""Descriptors of GUR's later phases: affinities of tracklets to cluster centers."""

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import as_feature_matrix, normalized_rows

Features = Tensor | np.ndarray


def proxy_affinities(
    features: Features, proxies: Features, groups: np.ndarray | None = None, scale: float = 20.0
) -> Tensor:
    """Softmax of scale * cosine over the proxies of each group (Yang et al., ICCV 2023).

    If the group of a proxy is its camera, this is the descriptor z of the inter-camera phase of GUR. Two properties of
    the released code are not reproduced. It uses cumulative sizes as widths of the cameras' slices, so that from the
    second visible camera on its slices match no camera. It also uses z without normalization in a distance that
    assumes unit rows; :func:`jaccard_distance` normalizes.

    Args:
        features: Float (N, D). Rows of both matrices are L2-normalized internally.
        proxies: Float (C, D), at least one row.
        groups: int64 (C,), group of each proxy, in any order. None puts all proxies in one group.
        scale: Positive factor of the cosine similarities, the reciprocal of the loss temperature of 0.05.

    Returns:
        Float (N, C) on the device of the features, with columns in the order of the proxies. In each row, the
        entries of a group sum to 1.

    Raises:
        ValueError: If shapes do not match, features are not finite, there is no proxy, or ``scale`` is not
            positive.
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
