"""Exact nearest neighbours, row-chunked, with a defined order among ties."""

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Similarities held at once: 2**24 float32 values are 64 MiB, large enough to keep the matrix product busy.
CHUNK_ELEMENTS = 2**24


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
    if k > len(gallery):
        warnings.warn(f'k={k} exceeds the gallery size; using {len(gallery)}', stacklevel=2)
        k = len(gallery)
    return nearest_by_inner_product(queries.to(dtype), gallery.to(dtype), k)


def nearest_by_inner_product(
    queries: Tensor, gallery: Tensor, k: int, self_first: bool = False
) -> tuple[Tensor, Tensor]:
    """The ``k`` gallery rows of largest inner product with each query; no N x M array is ever held.

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
    k = min(k, len(gallery))
    similarity = queries.new_empty((len(queries), k))
    index = torch.empty((len(queries), k), dtype=torch.int64, device=queries.device)
    for rows in row_chunks(len(queries), len(gallery)):
        block = queries[rows] @ gallery.T
        if self_first:
            local = torch.arange(len(block), device=block.device)
            block[local, local + rows.start] = torch.inf
        similarity[rows], index[rows] = largest_per_row(block, k)
    return similarity, index


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


def row_chunks(num_rows: int, num_columns: int) -> list[slice]:
    """Slices of ``num_rows`` rows, such that a block of ``num_columns`` columns holds ``CHUNK_ELEMENTS``."""
    size = max(1, CHUNK_ELEMENTS // max(1, num_columns))
    return [slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size)]


def largest_per_row(block: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Largest ``k`` entries of each row, descending, ties by smaller column."""
    num_columns = block.shape[1]
    # One entry more than asked shows whether the last place is contested; topk leaves the choice open then.
    value, index = block.topk(min(k + 1, num_columns), dim=1)
    if num_columns > k:
        contested = (value[:, k] == value[:, k - 1]).nonzero().squeeze(1)
        index = index[:, :k].contiguous()
        if len(contested):
            index[contested] = _smallest_tied_columns(block[contested], value[contested, k - 1], k)
    index = index.sort(dim=1).values
    value, order = block.gather(1, index).sort(dim=1, descending=True, stable=True)
    return value, index.gather(1, order)


def _smallest_tied_columns(block: Tensor, last: Tensor, k: int) -> Tensor:
    """Columns of everything above ``last`` and of the first entries equal to it, ``k`` per row, ascending."""
    above = block > last[:, None]
    tied = block == last[:, None]
    places = k - above.sum(dim=1, keepdim=True)
    chosen = above | (tied & (tied.cumsum(dim=1) <= places))
    return chosen.nonzero()[:, 1].view(len(block), k)
