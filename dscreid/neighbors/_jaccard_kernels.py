"""Compiled inner loops of the k-reciprocal Jaccard distance, each for a block of rows."""

import numpy as np

from dscreid.utils.compiled import compiled


# Reassociating sums lets the compiler vectorize. NaN and infinities keep their meaning.
@compiled(fastmath={'reassoc', 'contract', 'nsz'})
def _dot(a, b):
    total = np.float32(0)
    for position in range(len(a)):
        total += a[position] * b[position]
    return total


@compiled()
def _grown(array, needed):
    larger = np.empty(max(needed, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger


@compiled()
def reciprocal_neighbors(rank, k, start, stop):
    """Find the mutual neighbors within the first ``k`` columns of ``rank``, int32 (N, k1).

    Returns ``members`` int32 (n, k) and ``counts`` int32 (n,), the number of valid entries of each row, in rank order.
    """
    members = np.empty((stop - start, k), np.int32)
    counts = np.zeros(stop - start, np.int32)
    for i in range(start, stop):
        for j in rank[i, :k]:
            for back in rank[j, :k]:
                if back == i:
                    members[i - start, counts[i - start]] = j
                    counts[i - start] += 1
                    break
    return members, counts


@compiled()
def expanded_weights(features, full, full_counts, half, half_counts, start, stop):
    """Compute expanded k-reciprocal sets E_i and the softmax of -(2 - 2 cos) over them.

    Features are float32 (N, D), L2-normalized; ``full`` (N, k1) and ``half`` (N, h) are reciprocal sets. Returns
    ``lengths`` int64 (n,), ``indices`` int32 and ``weights`` float32 (lengths.sum(),), with ascending indices in a row.
    """
    num = len(full)
    lengths = np.empty(stop - start, np.int64)
    indices = np.empty(16 * (stop - start) + num, np.int32)
    weights = np.empty(len(indices), np.float32)
    in_full = np.full(num, -1, np.int64)  # holds the row number, so it never needs clearing
    in_expanded = np.full(num, -1, np.int64)
    end = 0
    for i in range(start, stop):
        if end + num > len(indices):
            indices = _grown(indices, end + num)
            weights = _grown(weights, end + num)
        begin = end
        for j in full[i, : full_counts[i]]:
            in_full[j] = i
            in_expanded[j] = i
            indices[end] = j
            end += 1
        for candidate in full[i, : full_counts[i]]:
            others = half[candidate, : half_counts[candidate]]
            overlap = 0
            for j in others:
                overlap += in_full[j] == i
            if 3 * overlap > 2 * len(others):
                for j in others:
                    if in_expanded[j] != i:
                        in_expanded[j] = i
                        indices[end] = j
                        end += 1
        indices[begin:end].sort()
        total = 0.0
        for position in range(begin, end):
            weight = np.exp(2.0 * _dot(features[i], features[indices[position]]) - 2.0)
            weights[position] = weight
            total += weight
        for position in range(begin, end):
            weights[position] /= total
        lengths[i - start] = end - begin
    return lengths, indices[:end].copy(), weights[:end].copy()


@compiled()
def _distance(overlap):
    """Jaccard distance of an overlap, rounded to float32 before comparison so that stored values respect the limit."""
    return np.float32(max(0.0, 1.0 - overlap / (2.0 - overlap)))


@compiled()
def close_pairs(indptr, indices, weights, inv_indptr, inv_indices, inv_weights, max_distance, start, stop):
    """Find pairs with J = 1 - m / (2 - m) <= ``max_distance``, where m_ij = sum_k min(V_ik, V_jk).

    V is given as CSR, and with ``inv_`` as CSC; a ``max_distance`` of 1 or more keeps every pair. Returns ``lengths``
    int64 (n,), ascending ``columns`` int32 and ``distances`` float32 (lengths.sum(),). The diagonal is exactly 0.
    """
    num = len(indptr) - 1
    lengths = np.empty(stop - start, np.int64)
    columns = np.empty(16 * (stop - start) + num, np.int32)
    distances = np.empty(len(columns), np.float32)
    overlap = np.zeros(num, np.float32)
    touched = np.empty(num, np.int32)
    for i in range(num if max_distance >= 1 else 0):
        touched[i] = i
    end = 0
    for i in range(start, stop):
        count = 0
        for position in range(indptr[i], indptr[i + 1]):
            k, weight = indices[position], weights[position]
            # k ascends for both orders of a pair, so m_ij and m_ji are bitwise equal.
            for inverse in range(inv_indptr[k], inv_indptr[k + 1]):
                j = inv_indices[inverse]
                if max_distance < 1 and overlap[j] == 0:
                    touched[count] = j
                    count += 1
                overlap[j] += min(weight, inv_weights[inverse])
        if max_distance >= 1:
            count = num
        if end + count > len(columns):
            columns = _grown(columns, end + count)
            distances = _grown(distances, end + count)
        begin = end
        for j in touched[:count]:
            distance = _distance(overlap[j])
            if distance <= max_distance or j == i:
                columns[end] = j
                end += 1
            else:
                overlap[j] = 0
        columns[begin:end].sort()
        for position in range(begin, end):
            j = columns[position]
            distances[position] = np.float32(0) if j == i else _distance(overlap[j])
            overlap[j] = 0
        lengths[i - start] = end - begin
    return lengths, columns[:end].copy(), distances[:end].copy()
