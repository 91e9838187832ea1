"""Features without the statistics of their modality (not in the paper)."""

import torch
from torch import Tensor

from dscreid.neighbors.knn import Features, as_feature_matrix, normalized_rows


def whitened(features: Features, shrinkage: float = 0.1) -> Tensor:
    """Center features, and scale their principal axes to about the same variance (ZCA).

    What a sensor adds to all tracklets, and directions in which it spreads them, no longer decide who is near whom.

    Args:
        features: Float (N, D). Rows are L2-normalized first.
        shrinkage: Share of the mean variance that is added to each axis, positive: with few tracklets, axes of little
            variance are noise.

    Returns float32 (N, D) on the device of the features, rows L2-normalized.
    """
    check_whitening(shrinkage)
    rows = normalized_rows(as_feature_matrix(features, 'features')).double()
    if not len(rows):
        return rows.float()
    rows = rows - rows.mean(dim=0)
    variances, axes = torch.linalg.eigh(rows.T @ rows / len(rows))
    mean = variances.mean().clamp(min=torch.finfo(torch.float32).tiny)
    scales = (variances.clamp(min=0) + shrinkage * mean).rsqrt()
    return normalized_rows((rows @ (axes * scales) @ axes.T).float())


def check_whitening(shrinkage: float = 0.1) -> None:
    """Check the parameters of :func:`whitened`; raises ValueError."""
    if shrinkage <= 0:
        raise ValueError(f'shrinkage must be positive, got {shrinkage}')
