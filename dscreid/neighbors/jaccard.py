"""k-reciprocal Jaccard distance with sparse arrays throughout."""

import numpy as np
import scipy.sparse

from dscreid.neighbors import _jaccard_kernels as kernels
from dscreid.neighbors.knn import Features, as_feature_matrix, clipped, nearest_by_inner_product, normalized_rows
from dscreid.utils.compiled import over_rows


def jaccard_distance(
    features: Features, k1: int = 30, k2: int = 6, max_distance: float = 0.6
) -> scipy.sparse.csr_array:
    """Jaccard distance of k-reciprocal encodings (Zhong et al., CVPR 2017), as used in unsupervised re-ID.

    Let R_i be the ``k1`` nearest tracklets of i by cosine similarity, starting with i itself. Let N(i, k) be the set of
    j among the first k entries of R_i that have i among the first k entries of R_j.

    1. E_i is N(i, k1), extended by N(j, h) for every j in N(i, k1) if more than two thirds of N(j, h) already lie in
       N(i, k1). h = round(k1 / 2) + 1, with halves rounded to even as in common re-ID code.
    2. V_i is the softmax of -(2 - 2 cos) over E_i, then replaced by the mean of V_j over the first ``k2`` j of R_i.
    3. m_ij = sum_k min(V_ik, V_jk) and J_ij = 1 - m_ij / (2 - m_ij), clipped below at 0.

    Memory is O(N (k1 + D) + stored pairs). No N x N array is created.

    Args:
        features: Float (N, D), torch (any device) or numpy, L2-normalized internally; zero rows stay zero.
        k1: Number of neighbors, including the tracklet itself. Clipped to N with a warning.
        k2: Number of rows averaged in the query expansion, 1 for none. Clipped to ``k1``.
        max_distance: Pairs farther apart are not stored. A value of 1 or more stores all N x N pairs.

    Returns float32 (N, N) in [0, 1], symmetric, with sorted indices. It stores exactly the pairs with a distance of at
    most ``max_distance``, including the zeros of the diagonal.
    """
    if k1 < 1 or k2 < 1 or max_distance < 0:
        raise ValueError(
            f'k1 and k2 must be >= 1 and max_distance >= 0, got k1={k1}, k2={k2}, max_distance={max_distance}'
        )
    features, rank = nearest_tracklets(features, clipped(k1, len(features), 'k1'))
    return jaccard_of_neighbors(features, rank, k1, k2, max_distance)


def nearest_tracklets(features: Features, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` (clipped to N) nearest tracklets of each by cosine similarity, the tracklet itself first.

    Returns float32 (N, D), the normalized features, and int32 (N, k): arguments of :func:`jaccard_of_neighbors`.
    """
    features = normalized_rows(as_feature_matrix(features, 'features'))
    rank = nearest_by_inner_product(features, features, min(k, len(features)), self_first=True)[1]
    return features.float().cpu().numpy(), rank.cpu().numpy().astype(np.int32)


def jaccard_of_neighbors(
    features: np.ndarray,
    rank: np.ndarray,
    k1: int,
    k2: int,
    max_distance: float,
    num_rows: int | None = None,
    groups: np.ndarray | None = None,
) -> scipy.sparse.csr_array:
    """Compute the first ``num_rows`` rows (None: all) of :func:`jaccard_distance` from known neighbors.

    Features are float32 (N, D), L2-normalized; ``rank`` int32 (N, K) are the nearest tracklets of each tracklet, itself
    first, with K at least ``min(k1, N)``. With ``groups``, int64 (N,), the query expansion averages the neighbors of
    each group, then the groups that occur (PCLHD; Shi et al., NeurIPS 2024, with the modalities as groups).
    """
    num = len(rank)
    num_rows = num if num_rows is None else num_rows
    if num_rows == 0:
        return scipy.sparse.csr_array((0, num), dtype=np.float32)
    if rank.shape[1] < min(k1, num):
        raise ValueError(f'k1={k1} needs as many neighbors of each tracklet, got {rank.shape[1]}')
    rank = np.ascontiguousarray(rank[:, :k1])
    encodings = _encode(features, rank, k1)
    if k2 > 1:
        encodings = _expand_queries(encodings, rank[:, :k2], groups)
    return _close_pairs(encodings, max_distance, num_rows)


def _encode(features: np.ndarray, rank: np.ndarray, k1: int) -> scipy.sparse.csr_array:
    """float32 (N, N), the rows V_i before query expansion, with sorted indices."""
    num, width = rank.shape
    half_width = min(int(np.around(k1 / 2)) + 1, width)

    def reciprocal(k: int) -> tuple[np.ndarray, np.ndarray]:
        blocks = over_rows(num, lambda start, stop: kernels.reciprocal_neighbors(rank, k, start, stop))
        return tuple(np.concatenate(part) for part in zip(*blocks, strict=True))

    sets = (*reciprocal(width), *reciprocal(half_width))
    features = np.ascontiguousarray(features)
    blocks = over_rows(num, lambda start, stop: kernels.expanded_weights(features, *sets, start, stop))
    return _stacked(blocks, num)


def _expand_queries(
    encodings: scipy.sparse.csr_array, rank: np.ndarray, groups: np.ndarray | None
) -> scipy.sparse.csr_array:
    num, k2 = rank.shape
    indptr = np.arange(num + 1, dtype=np.int32) * k2
    weights = np.ones(rank.shape, np.float32) if groups is None else _balanced_weights(groups[rank])
    chooser = scipy.sparse.csr_array((weights.ravel(), rank.ravel(), indptr), shape=(num, num))
    mean = chooser @ encodings
    if groups is None:
        mean.data /= np.float32(k2)
    mean.sort_indices()
    return mean


def _balanced_weights(groups: np.ndarray) -> np.ndarray:
    """float32 (N, k), which sum to 1 in each row and to the same in each group that occurs in it, int64 (N, k)."""
    weights, present = np.zeros(groups.shape, np.float32), np.zeros((len(groups), 1), np.float32)
    for group in np.unique(groups):
        members = groups == group
        counts = members.sum(axis=1, keepdims=True)
        weights += members / np.maximum(counts, 1)
        present += counts > 0
    return weights / present


def _close_pairs(encodings: scipy.sparse.csr_array, max_distance: float, num_rows: int) -> scipy.sparse.csr_array:
    arrays = []
    for matrix in (encodings, encodings.tocsc()):
        arrays += [matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False), matrix.data]
    blocks = over_rows(num_rows, lambda start, stop: kernels.close_pairs(*arrays, float(max_distance), start, stop))
    return _stacked(blocks, encodings.shape[1])


def _stacked(blocks: list[tuple], num_columns: int) -> scipy.sparse.csr_array:
    lengths, indices, data = (np.concatenate(part) for part in zip(*blocks, strict=True))
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    # scikit-learn expects 32-bit indices if they can hold the number of pairs.
    index_type = np.int32 if indptr[-1] < 2**31 else np.int64
    return scipy.sparse.csr_array(
        (data, indices.astype(index_type, copy=False), indptr.astype(index_type)),
        shape=(len(lengths), num_columns),
    )
