"""Mean silhouette of a clustering, without distances between all tracklets."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import Features, as_feature_matrix, normalized_rows
from dscreid.structures import outliers_alone
from dscreid.utils.chunks import row_chunks

#: Cosine distances up to this value are float32 rounding errors: identical directions do not form clusters.
_ROUNDING = 1e-6
#: Maximum number of silhouettes in a comparison of clusterings.
MOST_JUDGED = 3000


def silhouette(features: Features, labels: np.ndarray) -> float:
    """Mean silhouette of a clustering with the cosine distance (Rousseeuw, J. Comput. Appl. Math. 1987).

    For a tracklet with mean distance a to the others of its cluster and b to the nearest other cluster, the silhouette
    is ``(b - a) / max(a, b)``. It is 0 for the only member of a cluster. Outliers are ignored.

    Returns a value in [-1, 1] for float (N, D), normalized internally, and int (N,) labels; NaN below two clusters.
    """
    judged = np.flatnonzero(labels >= 0)
    parts = _silhouettes_of(features, labels, judged)
    return math.nan if parts is None else sum(float(part.sum()) for part in parts) / len(judged)


def silhouette_of_all(features: Features, labels: np.ndarray, most: int | None = None) -> float:
    """Mean silhouette over all tracklets, or at most ``most`` evenly spaced ones, with outliers counted as 0.

    It lies in [-1, 1] and is 0 with fewer than two clusters.
    """
    num = len(labels)
    asked = np.arange(num) if most is None or num <= most else np.arange(most) * num // most
    parts = _silhouettes_of(features, labels, asked[labels[asked] >= 0])
    return 0.0 if parts is None else sum(float(part.sum()) for part in parts) / len(asked)


def mean_cluster_size(labels: np.ndarray) -> float:
    """Mean over the tracklets (N,) of the sizes of their clusters, with outliers alone; NaN without tracklets."""
    sizes = np.bincount(outliers_alone(labels)).astype(np.float64)
    return float((sizes**2).sum() / len(labels)) if len(labels) else math.nan


def silhouettes(features: Features, labels: np.ndarray) -> np.ndarray:
    """Silhouette of each tracklet, float64 (N,), with outliers counted as 0; 0 with fewer than two clusters."""
    values, judged = np.zeros(len(labels)), np.flatnonzero(labels >= 0)
    if (parts := _silhouettes_of(features, labels, judged)) is not None:
        values[judged] = torch.cat([part.cpu() for part in parts]).numpy()
    return values


def _silhouettes_of(features: Features, labels: np.ndarray, judged: np.ndarray) -> Iterator[Tensor] | None:
    """Yield the silhouettes of the tracklets ``judged``, no outliers, in parts; None with fewer than two clusters."""
    matrix, kept = as_feature_matrix(features, 'features'), labels >= 0
    _, numbers, counts = np.unique(labels[kept], return_inverse=True, return_counts=True)
    if len(counts) < 2:
        return None
    rows = normalized_rows(matrix[torch.from_numpy(kept).to(matrix.device)])
    members = torch.from_numpy(numbers).to(rows.device)
    sizes = torch.from_numpy(counts).to(rows.device, torch.float64)
    width = max(len(sizes), rows.shape[1])
    sums = sizes.new_zeros(len(sizes), rows.shape[1])
    for chunk in row_chunks(len(rows), width):  # only a few rows at a time in float64
        sums.index_add_(0, members[chunk], rows[chunk].double())
    places = torch.from_numpy(np.cumsum(kept)[judged] - 1).to(rows.device)
    chunks = (places[chunk] for chunk in row_chunks(len(places), width))
    return (_silhouettes(rows[some].double(), members[some], sums, sizes) for some in chunks)


def _silhouettes(rows: Tensor, members: Tensor, sums: Tensor, sizes: Tensor) -> Tensor:
    """Float64 (n,), silhouettes of some rows; ``sums`` (C, D) and ``sizes`` (C,) cover the whole clusters."""
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
