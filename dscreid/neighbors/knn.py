"""Nearest neighbours with checked inputs and a defined order among ties."""

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dscreid.neighbors import current_search


def knn(queries: Tensor | np.ndarray, gallery: Tensor | np.ndarray, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` gallery rows most similar to each query by cosine, nearest first.

    Rows are L2-normalised inside. A zero row has no direction: its similarity to everything, itself included,
    is defined as 0. Among equal similarities, as computed in floating point, the smaller gallery index comes
    first, so the result is deterministic.

    Args:
        queries: Float (N, D).
        gallery: Float (M, D).
        k: Number of neighbours, at least 1. Clipped to M, with a warning.

    Returns:
        ``similarity`` float (N, k) in [-1, 1] up to rounding, descending along a row, and ``index`` int64 (N,
        k) into the gallery; both on the device of the inputs.

    Raises:
        ValueError: If a matrix holds NaN or infinite values, or the shapes do not fit.
    """
    queries = normalized_rows(as_feature_matrix(queries, 'queries'))
    gallery = normalized_rows(as_feature_matrix(gallery, 'gallery'))
    dtype = torch.promote_types(queries.dtype, gallery.dtype)
    k = clipped(k, len(gallery))
    return nearest_by_inner_product(queries.to(dtype), gallery.to(dtype), k)


def nearest_by_inner_product(
    queries: Tensor, gallery: Tensor, k: int, self_first: bool = False
) -> tuple[Tensor, Tensor]:
    """The ``k`` gallery rows of largest inner product with each query; no N x M array is ever held.

    Exact, unless :func:`~dscreid.neighbors.search_with` asks for another search or a processor
    would take too long (see ``NeighborSearch``).

    Args:
        queries: Float (N, D).
        gallery: Float (M, D), same dtype and device.
        k: Number of neighbours; clipped to M.
        self_first: Queries are the gallery, and row i counts as its own nearest neighbour whatever ties there
            are (duplicate rows); its similarity is reported as infinite.

    Returns:
        ``similarity`` (N, k), descending, and ``index`` int64 (N, k); ties by smaller index.
    """
    if queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            f'queries have {queries.shape[1]} dimensions but the gallery has {gallery.shape[1]}; '
            'both must come from the same model'
        )
    if k < 1 and len(gallery):
        raise ValueError(f'k must be at least 1, got {k}')
    return current_search()(queries, gallery, min(k, len(gallery)), self_first)


def clipped(k: int, num_rows: int, name: str = 'k') -> int:
    """A number of neighbours, reduced with a warning to the number of rows there are."""
    if k > num_rows:
        warnings.warn(f'{name}={k} exceeds the gallery size; using {num_rows}', stacklevel=3)
    return min(k, num_rows)


def as_feature_matrix(features: Tensor | np.ndarray, name: str) -> Tensor:
    """Check a feature matrix and return it as a detached float tensor.

    Args:
        features: Numeric (N, D), torch or numpy. float64 stays float64, everything else becomes float32.
        name: What the matrix is called in error messages.

    Returns:
        Float (N, D) on the device of the input.

    Raises:
        TypeError: If it is neither a tensor nor an array.
        ValueError: If it is no matrix or some rows are not finite.
    """
    if isinstance(features, np.ndarray):
        features = torch.from_numpy(np.ascontiguousarray(features))
    if not isinstance(features, Tensor):
        raise TypeError(f'{name} must be a torch tensor or numpy array, got {type(features).__name__}')
    if features.ndim != 2:
        raise ValueError(f'{name} must be a matrix (N, D), got shape {tuple(features.shape)}')
    features = features.detach()
    if features.dtype != torch.float64:
        features = features.float()
    broken = int((~torch.isfinite(features).all(dim=1)).sum())
    if broken:
        raise ValueError(
            f'{broken} of {len(features)} rows of {name} hold NaN or infinite values; '
            'check the model that produced these features'
        )
    return features


def normalized_rows(features: Tensor) -> Tensor:
    """L2-normalise the rows of a float (N, D) matrix; zero rows stay zero."""
    return functional.normalize(features, dim=1)
