"""Soft labels from the labels of a tracklet's neighbors, and the confidence in a label.

Neighbor-guided label calibration and dynamic weighting (Teng et al., "Relieving Universal Label Noise for Unsupervised
Visible-Infrared Person Re-Identification by Inferring from Neighbors", arXiv:2412.12220), one of two interpretations of
"NG" in the comparison tables of the DSC paper.
"""

import numpy as np
from scipy.sparse import coo_array, csr_array


def neighbor_count(labels: np.ndarray, topk: int, max_cluster_ratio: float | None = 2.0) -> int:
    """Limit the number of neighbors, in [1, topk], to a multiple of the mean cluster size; None for no limit."""
    labeled = labels[labels >= 0]
    if max_cluster_ratio is None or not len(labeled):
        return topk
    mean_size = len(labeled) / len(np.unique(labeled))
    return max(1, min(topk, int(max_cluster_ratio * mean_size)))


def label_shares(neighbors: np.ndarray, labels: np.ndarray) -> csr_array:
    """Compute the share of each label, int64 (M,), -1 = outlier, among a tracklet's labeled neighbors, int64 (N, k).

    Returns:
        float64 csr (N, C), where C is the largest label + 1. Rows sum to 1, or are empty if all neighbors are outliers.
    """
    return _sum_to_one(_label_counts(neighbors, labels))


def overlap_shares(neighbors: np.ndarray, labels: np.ndarray) -> csr_array:
    """Compute the intersection over union of a tracklet's neighbors with each cluster; each row is divided by its sum.

    Arguments and result are those of :func:`label_shares`; neighbors are distinct, and outliers are in the union.
    """
    counts = _label_counts(neighbors, labels)
    sizes = np.bincount(labels[labels >= 0], minlength=counts.shape[1])
    counts.data /= neighbors.shape[1] - counts.data + sizes[counts.indices]
    return _sum_to_one(counts)


def soft_targets(labels: np.ndarray, shares: csr_array, balance: float = 0.7) -> csr_array:
    """Mix hard labels with the labels of neighbors: q = balance * onehot(y) + (1 - balance) * r.

    Labels are int64 (N,) in [-1, C); rows of ``shares``, csr (N, C), sum to 1 or are empty; ``balance`` is in [0, 1].

    Returns float32 csr (N, C). Rows sum to 1, with only the hard label if the row of ``shares`` is empty; empty for -1.
    """
    labeled = np.flatnonzero(labels >= 0)
    informed = np.diff(shares.indptr) > 0
    hard = np.where(informed, balance, 1.0)[labeled]
    soft = np.where((labels >= 0) & informed, 1 - balance, 0.0)
    targets = csr_array((hard, (labeled, labels[labeled])), shape=shares.shape)
    mixed = shares.data * soft[_row_of(shares)]
    targets = targets + csr_array((mixed, shares.indices, shares.indptr), shares.shape)
    targets.eliminate_zeros()
    return csr_array(targets, dtype=np.float32)


def confidence_weights(labels: np.ndarray, shares: csr_array, sharpness: float = 10.0) -> np.ndarray:
    """Compute how far the neighbors confirm a label: w = exp(-sharpness * (1 - r_y)^2).

    Labels and shares (without duplicates) are those of :func:`soft_targets`; ``sharpness`` is "coe" in released code.

    Returns float32 (N,) in [0, 1]. 0 for label -1 and for empty rows of ``shares``.
    """
    rows = _row_of(shares)
    own = shares.indices == labels[rows]
    agreement = np.zeros(len(labels))
    agreement[rows[own]] = shares.data[own]
    weights = np.exp(-sharpness * (1 - agreement) ** 2)
    return np.where((labels >= 0) & (np.diff(shares.indptr) > 0), weights, 0.0).astype(np.float32)


def _label_counts(neighbors: np.ndarray, labels: np.ndarray) -> csr_array:
    """float64 csr (N, C), number of neighbors with each label, without outliers."""
    votes = labels[neighbors]
    rows, places = np.nonzero(votes >= 0)
    shape = len(neighbors), int(labels.max(initial=-1)) + 1
    return coo_array((np.ones(len(rows)), (rows, votes[rows, places])), shape=shape).tocsr()


def _sum_to_one(rows: csr_array) -> csr_array:
    sums = np.bincount(_row_of(rows), weights=rows.data, minlength=rows.shape[0])
    rows.data /= sums[_row_of(rows)]
    return rows


def _row_of(rows: csr_array) -> np.ndarray:
    """int64 (nnz,), the row of each stored entry."""
    return np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
