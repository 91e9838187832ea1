"""Exact scoring of candidate neighbors."""

import torch
from torch import Tensor

from dscreid.utils.chunks import row_chunks


def best_candidates(
    queries: Tensor, gallery: Tensor, candidates: Tensor, k: int, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Score the candidates of each query and keep the best.

    Args:
        queries: Float (N, D).
        gallery: Float (M, D), same dtype and device.
        candidates: int64 (N, C), gallery rows, each at most once per query; -1 = none. C is at least ``k``.
        k: Number of neighbors.
        own: int64 (N,), the gallery row of each query if the queries come from the gallery. This row is its
            query's nearest neighbor with infinite similarity, even if it is not a candidate.

    Returns:
        ``similarity`` (N, k), descending, and ``index`` int64 (N, k). Ties are broken by the smaller index.
        If a query has fewer than ``k`` candidates, the last entries are -inf and -1.
    """
    if own is not None:
        candidates = _joined(candidates, own)
    # With ascending candidates, a stable sort breaks ties by the smaller index.
    candidates = candidates.sort(dim=1).values
    similarity = queries.new_empty((len(queries), k))
    index = candidates.new_empty((len(queries), k))
    for rows in row_chunks(len(queries), candidates.shape[1] * gallery.shape[1]):
        block = candidates[rows]
        score = torch.bmm(gallery[block.clamp(min=0)], queries[rows, :, None]).squeeze(2)
        score[block < 0] = -torch.inf
        if own is not None:
            score[block == own[rows, None]] = torch.inf
        score, order = score.sort(dim=1, descending=True, stable=True)
        similarity[rows], index[rows] = score[:, :k], block.gather(1, order[:, :k])
    return similarity, index


def _joined(candidates: Tensor, own: Tensor) -> Tensor:
    """Replace the last of the candidates (N, C) by the row's own index if it is missing."""
    missing = ~(candidates == own[:, None]).any(dim=1)
    candidates = candidates.clone()
    candidates[missing, -1] = own[missing]
    return candidates
