"""Labels of the most similar prototype of a cluster (RPNR), or of the nearest center of the other modality (HIL)."""

from math import ceil

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import Features, as_feature_matrix, normalized_rows
from dscreid.utils.chunks import row_chunks


def cluster_prototypes(
    features: Features, labels: np.ndarray, samples: int | float = 20, threshold: float = 0.5
) -> tuple[Tensor, float]:
    """Average the most typical members of each cluster (RPNR; Yin et al., ACM MM 2024).

    A member is the more typical, the more members of its cluster have a cosine similarity above the threshold:
    ``rho_j = sum_l sign(cos_jl - threshold)`` over all members, itself among them. Ties, which the released code leaves
    to the sorting, go to the larger sum of cosines, then to the smaller row.

    Args:
        features: Float (N, D). Rows are L2-normalized internally.
        labels: int64 (N,), clusters numbered from 0 without gaps, -1 = outlier.
        samples: Members that form a prototype: an int of at least 1 is a number, a float in (0, 1] a share of the
            cluster, rounded up. Clusters with fewer members use all of them.
        threshold: Cosine similarity, 0.5 in the released code.

    Returns ``prototypes``, float (C, D), not normalized, on the CPU, and the share, in [0, 1], of pairs of different
    members that reach the threshold, NaN without such pairs. If it is 0 or 1, the sums of cosines alone decide.
    """
    check_samples(samples)
    rows = normalized_rows(as_feature_matrix(features, 'features')).cpu()
    prototypes, similar, pairs = rows.new_zeros(int(labels.max(initial=-1)) + 1, rows.shape[1]), 0, 0
    for cluster, prototype in enumerate(prototypes):
        members = rows[np.flatnonzero(labels == cluster)]
        rho, sums, reaching = _typicality(members, threshold)
        order = np.lexsort((-sums, -rho))
        wanted = samples if isinstance(samples, int) else ceil(samples * len(members) - 1e-9)
        prototype.copy_(members[order[:wanted]].mean(dim=0))
        similar += reaching
        pairs += len(members) * (len(members) - 1)
    return prototypes, similar / pairs if pairs else float('nan')


def calibrated_labels(features: Features, labels: np.ndarray, prototypes: Features) -> np.ndarray:
    """Replace each label by the cluster whose prototype is the most similar one by cosine (RPNR).

    Features, float (N, D), and prototypes, float (C, D), are L2-normalized internally. Labels are int64 (N,).

    Returns int64 (N,); -1 where the label was -1. Ties go to the smaller cluster.
    """
    return np.where(labels >= 0, _nearest(features, prototypes)[0], -1)


def nearest_center_labels(features: Features, labels: np.ndarray, centers: Features, ratio: float = 0.5) -> np.ndarray:
    """Give each clustered tracklet the nearest center of the other modality, unless others are much nearer to it.

    These are the cross-modality labels of HIL (arXiv:2509.11587). The cosine similarity to the center must be at least
    ``ratio``, in [0, 1], times the largest one of any clustered tracklet to that center.

    Features, float (N, D), and centers, float (C, D), are L2-normalized internally; labels, int64 (N,), say which
    tracklets are clustered (>= 0).

    Returns int64 (N,) in [-1, C), -1 for outliers and tracklets too far away. Ties go to the smaller center.
    """
    nearest, similarity, largest = _nearest(features, centers, labels >= 0)
    return np.where((labels >= 0) & (similarity >= ratio * largest[nearest]), nearest, -1)


def check_samples(samples: int | float) -> None:
    """Raise ValueError unless ``samples`` is an int of at least 1 or a float in (0, 1]."""
    is_count = isinstance(samples, int) and not isinstance(samples, bool) and samples >= 1
    if not is_count and not (isinstance(samples, float) and 0 < samples <= 1):
        raise ValueError(
            f'samples must be an int of at least 1 (a number) or a float in (0, 1] (a share), got {samples!r}'
        )


def _typicality(members: Tensor, threshold: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Rho and sums of cosines of n members, (n,) each, and the number of (ordered) pairs that reach the threshold."""
    rho, sums, similar = members.new_zeros(len(members)), members.new_zeros(len(members)), 0
    for part in row_chunks(len(members), len(members)):
        cosines = members[part] @ members.T
        rho[part], sums[part] = torch.sign(cosines - threshold).sum(dim=1), cosines.sum(dim=1)
        reaching = cosines >= threshold
        similar += int(reaching.sum() - reaching.diagonal(part.start).sum())
    return rho.numpy(), sums.numpy(), similar


def _nearest(
    features: Features, centers: Features, counted: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest center of each row, int64 (N,), its cosine (N,), and the largest cosine of each center, (C,).

    ``counted``, bool (N,), are the rows among which the largest cosine is found.
    """
    rows = normalized_rows(as_feature_matrix(features, 'features')).cpu()
    columns = normalized_rows(as_feature_matrix(centers, 'centers')).cpu().to(rows).T
    counts = torch.ones(len(rows), dtype=torch.bool) if counted is None else torch.from_numpy(counted)
    nearest, similarity = torch.zeros(len(rows), dtype=torch.int64), rows.new_zeros(len(rows))
    largest = rows.new_full((columns.shape[1],), -torch.inf)
    for part in row_chunks(len(rows), columns.shape[1]):
        cosines = rows[part] @ columns
        similarity[part] = cosines.amax(dim=1)
        # the first maximum, which torch.max does not promise
        nearest[part] = (cosines == similarity[part, None]).to(torch.uint8).argmax(dim=1)
        largest = torch.maximum(largest, cosines.masked_fill(~counts[part, None], -torch.inf).amax(dim=0))
    return nearest.numpy(), similarity.numpy(), largest.numpy()
