"""Nearest neighbors with validated inputs and a defined order among ties."""

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dscreid.neighbors import current_search

#: Float (N, D), torch (any device) or numpy.
Features = Tensor | np.ndarray


def knn(queries: Features, gallery: Features, k: int) -> tuple[Tensor, Tensor]:
    """Find the ``k`` gallery rows most similar to each query by cosine similarity, nearest first.

    Rows are L2-normalized internally; a zero row has similarity 0 to everything. Ties go to the smaller gallery index,
    so the result is deterministic.

    Args:
        queries: Float (N, D).
        gallery: Float (M, D).
        k: Number of neighbors, at least 1. Clipped to M with a warning.

    Returns ``similarity`` float (N, k) in [-1, 1], descending, and ``index`` int64 (N, k) into the gallery.
    """
    queries = normalized_rows(as_feature_matrix(queries, 'queries'))
    gallery = normalized_rows(as_feature_matrix(gallery, 'gallery'))
    dtype = torch.promote_types(queries.dtype, gallery.dtype)
    k = clipped(k, len(gallery))
    return nearest_by_inner_product(queries.to(dtype), gallery.to(dtype), k)


def nearest_by_inner_product(
    queries: Tensor, gallery: Tensor, k: int, self_first: bool = False
) -> tuple[Tensor, Tensor]:
    """Search as :func:`~dscreid.neighbors.exact_neighbors`, or as :func:`~dscreid.neighbors.search_with` sets.

    ``k`` is clipped to the size of the gallery.
    """
    if queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            f'queries have {queries.shape[1]} dimensions but the gallery has {gallery.shape[1]}; use one model for both'
        )
    if k < 1 and len(gallery):
        raise ValueError(f'k must be at least 1, got {k}')
    return current_search()(queries, gallery, min(k, len(gallery)), self_first)


def clipped(k: int, num_rows: int, name: str = 'k') -> int:
    """Clip a number of neighbors to the number of rows, with a warning."""
    if k > num_rows:
        warnings.warn(f'{name}={k} exceeds the gallery size; using {num_rows}', stacklevel=3)
    return min(k, num_rows)


def as_feature_matrix(features: Features, name: str) -> Tensor:
    """Return a numeric (N, D) matrix as a detached tensor on its device, float64 if it was, otherwise float32."""
    if isinstance(features, np.ndarray):
        features = torch.from_numpy(np.ascontiguousarray(features))
    if not isinstance(features, Tensor):
        raise TypeError(f'{name} must be a torch tensor or numpy array, got {type(features).__name__}')
    if features.ndim != 2:
        raise ValueError(f'{name} must be a matrix (N, D), got shape {tuple(features.shape)}')
    features = features.detach() if features.dtype == torch.float64 else features.detach().float()
    if bool(features.sum().isfinite()):  # one pass; it also overflows if finite values are huge
        return features
    broken = int((~torch.isfinite(features).all(dim=1)).sum())
    if broken:
        raise ValueError(f'{broken} of {len(features)} rows of {name} hold NaN or infinite values; check the model')
    return features


def normalized_rows(features: Tensor) -> Tensor:
    """L2-normalize the rows of a float (N, D) matrix. Zero rows stay zero."""
    return functional.normalize(features, dim=1)
