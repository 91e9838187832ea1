"""The best of some candidates, scored exactly."""

import torch
from torch import Tensor

from dscreid.utils.chunks import row_chunks


def best_candidates(
    queries: Tensor, gallery: Tensor, candidates: Tensor, k: int, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Score each query's candidates and keep the best.

    Args:
        queries: Float (N, D).
        gallery: Float (M, D), same dtype and device.
        candidates: int64 (N, C) rows of the gallery, each at most once in a row; -1 = none. C at least ``k``.
        k: Number of neighbours.
        own: int64 (N,), where queries are rows of the gallery: these rows, each of which counts as its query's nearest
            neighbour, a candidate or not, at an infinite similarity.

    Returns:
        ``similarity`` (N, k), descending, and ``index`` int64 (N, k); ties by smaller index. Where fewer than ``k``
        candidates exist the last are -inf and -1.
    """
    if own is not None:
        candidates = _joined(candidates, own)
    # ascending candidates and a stable sort give ties to the smaller index
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
    """Candidates (N, C) with each row's own in the place of the last, where it is not among them."""
    missing = ~(candidates == own[:, None]).any(dim=1)
    candidates = candidates.clone()
    candidates[missing, -1] = own[missing]
    return candidates
