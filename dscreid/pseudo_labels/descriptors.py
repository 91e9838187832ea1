"""One descriptor per tracklet, and means of descriptors per cluster."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dscreid.errors import LabelingError
from dscreid.neighbors.knn import as_feature_matrix, normalized_rows
from dscreid.structures import Modality, TrackletFeatures


def joined_halves(features: TrackletFeatures) -> Tensor:
    """Float (N, 2 D): both halves L2-normalized, then concatenated, so that they have the same weight."""
    return torch.cat(
        [functional.normalize(half, dim=1) for half in (features.static, features.dynamic)], dim=1
    )


def tracklet_descriptors(features: TrackletFeatures) -> Tensor:
    """Float (N, 2 D): both halves L2-normalized, concatenated, and L2-normalized again."""
    return normalized_rows(joined_halves(features))


def check_finite(descriptors: Tensor, modality: Modality) -> Tensor:
    """Return float (N, D) descriptors of a modality.

    Raises:
        LabelingError: If a row is not finite.
    """
    broken = int((~torch.isfinite(descriptors).all(dim=1)).sum())
    if broken:
        raise LabelingError(
            f'{broken} of {len(descriptors)} {modality.value} tracklets have NaN or infinite features: training has '
            'diverged; lower the learning rate and resume from an earlier checkpoint'
        )
    return descriptors


def mean_descriptors(descriptors: Tensor | np.ndarray, labels: np.ndarray) -> Tensor:
    """Compute the mean of each cluster's descriptors, without normalization.

    Args:
        descriptors: Float (N, D).
        labels: int64 (N,), clusters numbered from 0 without gaps. Outliers (-1) are ignored.

    Returns:
        Float (C, D) on the CPU, where the order of summation is fixed.

    Raises:
        ValueError: If a number below the largest label has no member, or descriptors are not finite.
    """
    rows = as_feature_matrix(descriptors, 'descriptors').cpu()
    numbers = torch.from_numpy(np.asarray(labels, np.int64))
    member = numbers >= 0
    sizes = torch.bincount(numbers[member])
    if (sizes == 0).any():
        raise ValueError('clusters must be numbered from 0 without gaps')
    sums = rows.new_zeros(len(sizes), rows.shape[1])
    return sums.index_add_(0, numbers[member], rows[member]) / sizes[:, None]
