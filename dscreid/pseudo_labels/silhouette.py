"""Mean silhouette of a clustering, without distances between all tracklets."""

import math

import numpy as np
import torch
from torch import Tensor

from dscreid.pseudo_labels.neighbors import as_feature_matrix, normalized_rows, row_chunks

#: Cosine distances up to here are float32 rounding: features that all point the same way have no clusters.
_ROUNDING = 1e-6


def silhouette(features: Tensor | np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette of a clustering under the cosine distance (Rousseeuw, J. Comput. Appl. Math. 1987).

    For a tracklet with mean distance a to the others of its cluster and b to the nearest other cluster it is
    ``(b - a) / max(a, b)``, and 0 for the only member of a cluster. Outliers are left out altogether. The cosine
    distance is linear in one of its arguments, so means over a cluster come from the cluster's sum: no N x N array.

    Args:
        features: Float (N, D), normalised inside.
        labels: int (N,), -1 = outlier.

    Returns:
        A value in [-1, 1]; NaN with fewer than two clusters.

    Raises:
        ValueError: The shapes do not fit, or a feature is not finite.
    """
    features, labels = _aligned(features, labels)
    kept = labels >= 0
    _, members, sizes = np.unique(labels[kept], return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return math.nan
    rows = normalized_rows(features[torch.from_numpy(kept).to(features.device)]).double()
    members = torch.from_numpy(members).to(rows.device)
    sizes = torch.from_numpy(sizes).to(rows)
    sums = rows.new_zeros(len(sizes), rows.shape[1]).index_add_(0, members, rows)
    total = 0.0
    for chunk in row_chunks(len(rows), len(sizes)):
        total += float(_silhouettes(rows[chunk], members[chunk], sums, sizes).sum())
    return total / len(rows)


def _silhouettes(rows: Tensor, members: Tensor, sums: Tensor, sizes: Tensor) -> Tensor:
    """Float64 (n,), silhouettes of some rows; ``sums`` (C, D) and ``sizes`` (C,) are those of the whole clusters."""
    local = torch.arange(len(rows), device=rows.device)
    similarity = rows @ sums.T  # (n, C), to each cluster's sum
    own_sum = similarity[local, members] - rows.square().sum(dim=1)  # without the tracklet itself
    own_size = sizes[members]
    within = 1 - own_sum / (own_size - 1).clamp(min=1)
    distance = 1 - similarity / sizes
    distance[local, members] = torch.inf
    between = distance.min(dim=1).values
    scale = torch.maximum(within, between)
    defined = (own_size > 1) & (scale > _ROUNDING)
    return torch.where(defined, (between - within) / scale.where(defined, torch.ones_like(scale)), 0.0)


def _aligned(features: Tensor | np.ndarray, labels: np.ndarray) -> tuple[Tensor, np.ndarray]:
    """Both, checked to have one row per tracklet."""
    features, labels = as_feature_matrix(features, 'features'), np.asarray(labels)
    if labels.shape != (len(features),):
        raise ValueError(f'one label per feature row is needed, got {labels.shape} for {len(features)} rows')
    return features, labels
