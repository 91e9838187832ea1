"""Soft labels from the labels of a tracklet's neighbours, and how far to trust a label.

Neighbour-guided label calibration and dynamic weighting (Teng et al., "Relieving Universal Label Noise for Unsupervised
Visible-Infrared Person Re-Identification by Inferring from Neighbors", arXiv:2412.12220): one of two readings of the
tables' "NG". All functions take neighbours as index rows and return sparse rows: nothing dense of N x C is held.
"""

import numpy as np
from scipy.sparse import coo_array, csr_array


def neighbor_count(labels: np.ndarray, topk: int, max_cluster_ratio: float | None = 2.0) -> int:
    """The number of neighbours to ask, no more than the clusters can answer for.

    Far more neighbours than a cluster has members make every distribution flat and every weight vanish.

    Args:
        labels: int64 (N,), labels of those who are asked; -1 = outlier.
        topk: The number wanted, at least 1.
        max_cluster_ratio: Neighbours at most, in mean cluster sizes; None for ``topk`` whatever the sizes.

    Returns:
        An integer between 1 and ``topk``.

    Raises:
        ValueError: ``topk`` is below 1 or the ratio is not positive.
    """
    if topk < 1 or (max_cluster_ratio is not None and max_cluster_ratio <= 0):
        raise ValueError(
            'topk must be at least 1 and max_cluster_ratio positive or None, '
            f'got topk={topk}, max_cluster_ratio={max_cluster_ratio}'
        )
    labelled = labels[labels >= 0]
    if max_cluster_ratio is None or not len(labelled):
        return topk
    mean_size = len(labelled) / len(np.unique(labelled))
    return max(1, min(topk, int(max_cluster_ratio * mean_size)))


def label_shares(neighbors: np.ndarray, labels: np.ndarray) -> csr_array:
    """Share of each label among a tracklet's labelled neighbours.

    Args:
        neighbors: int64 (N, k), indices into ``labels``.
        labels: int64 (M,), -1 = outlier, which counts for nothing.

    Returns:
        float64 csr (N, C), C being the largest label + 1; rows sum to 1, or are empty where all neighbours are
        outliers.
    """
    return _sum_to_one(_label_counts(neighbors, labels))


def overlap_shares(neighbors: np.ndarray, labels: np.ndarray) -> csr_array:
    """Overlap of a tracklet's neighbour set with each cluster, as a distribution.

    r_c = n_c / (k - n_c + ``|c|``), the intersection over union of the k neighbours and the members of cluster c, n_c
    of whom are among them; then divided by the sum over c.

    Args:
        neighbors: int64 (N, k), indices into ``labels``, distinct within a row.
        labels: int64 (M,), -1 = outlier; one takes a place among the k but counts for no cluster.

    Returns:
        float64 csr (N, C), C being the largest label + 1; rows sum to 1, or are empty where all neighbours are
        outliers (the formula is 0/0 there).
    """
    counts = _label_counts(neighbors, labels)
    sizes = np.bincount(labels[labels >= 0], minlength=counts.shape[1])
    counts.data /= neighbors.shape[1] - counts.data + sizes[counts.indices]
    return _sum_to_one(counts)


def soft_targets(labels: np.ndarray, shares: csr_array, balance: float = 0.7) -> csr_array:
    """Mix hard labels with what the neighbours say: q = balance * onehot(y) + (1 - balance) * r.

    Args:
        labels: int64 (N,) in [-1, C).
        shares: csr (N, C), rows summing to 1 or empty.
        balance: Share of the hard label, in [0, 1].

    Returns:
        float32 csr (N, C). Rows sum to 1; where the neighbours say nothing the row is the hard label alone, and for
        label -1 it is empty.

    Raises:
        ValueError: ``balance`` is out of range, or shapes and labels do not fit.
    """
    if not 0 <= balance <= 1:
        raise ValueError(f'balance must lie in [0, 1], got {balance}')
    _check_aligned(labels, shares)
    labelled = np.flatnonzero(labels >= 0)
    informed = _informed(shares)
    hard = np.where(informed, balance, 1.0)[labelled]
    soft = np.where((labels >= 0) & informed, 1 - balance, 0.0)
    targets = csr_array((hard, (labelled, labels[labelled])), shape=shares.shape)
    targets = targets + csr_array(
        (shares.data * soft[_row_of(shares)], shares.indices, shares.indptr), shares.shape
    )
    targets.eliminate_zeros()
    return csr_array(targets, dtype=np.float32)


def confidence_weights(labels: np.ndarray, shares: csr_array, sharpness: float = 10.0) -> np.ndarray:
    """How far the neighbours bear a label out: w = exp(-sharpness * (1 - r_y)^2).

    Args:
        labels: int64 (N,) in [-1, C).
        shares: csr (N, C) without duplicates, rows summing to 1 or empty.
        sharpness: Not negative ("coe" in the released code).

    Returns:
        float32 (N,) in [0, 1]; 0 for label -1 and where the neighbours say nothing.

    Raises:
        ValueError: ``sharpness`` is negative, or shapes and labels do not fit.
    """
    if sharpness < 0:
        raise ValueError(f'sharpness must not be negative, got {sharpness}')
    _check_aligned(labels, shares)
    rows = _row_of(shares)
    own = shares.indices == labels[rows]
    agreement = np.zeros(len(labels))
    agreement[rows[own]] = shares.data[own]
    weights = np.exp(-sharpness * (1 - agreement) ** 2)
    return np.where((labels >= 0) & _informed(shares), weights, 0.0).astype(np.float32)


def _label_counts(neighbors: np.ndarray, labels: np.ndarray) -> csr_array:
    """float64 csr (N, C): neighbours of each label, outliers left out."""
    votes = labels[neighbors]
    rows, places = np.nonzero(votes >= 0)
    columns = votes[rows, places]
    num_clusters = int(labels.max(initial=-1)) + 1
    return coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(neighbors), num_clusters)).tocsr()


def _sum_to_one(rows: csr_array) -> csr_array:
    """Divide the stored entries of each row by their sum, in place."""
    sums = np.bincount(_row_of(rows), weights=rows.data, minlength=rows.shape[0])
    rows.data /= sums[_row_of(rows)]
    return rows


def _row_of(rows: csr_array) -> np.ndarray:
    """int64 (nnz,), the row of each stored entry."""
    return np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))


def _informed(shares: csr_array) -> np.ndarray:
    """Boolean (N,), rows that are not empty."""
    return np.diff(shares.indptr) > 0


def _check_aligned(labels: np.ndarray, shares: csr_array) -> None:
    if labels.shape != (shares.shape[0],) or labels.max(initial=-1) >= shares.shape[1]:
        raise ValueError(
            f'labels of shape {labels.shape} up to {labels.max(initial=-1)} do not fit shares of shape {shares.shape}'
        )
