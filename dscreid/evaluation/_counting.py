"""Count the gallery tracklets ranked before a true match, without sorting."""

import numpy as np
import torch
from torch import Tensor

from dscreid.utils.chunks import row_chunks
from dscreid.utils.compiled import compiled, over_rows


def count_ahead(scores: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Count the gallery tracklets ranked before some chosen ones, int64 (P,); equal scores keep the gallery's order.

    This is faster than sorting if a query has fewer than about a thousand true matches.

    Args:
        scores: Float (n, Ng), higher means nearer; NaN never counts as ahead.
        row: int64 (P,), query of each chosen tracklet.
        column: int64 (P,), gallery row of each chosen tracklet.
    """
    if scores.is_cuda:
        return _compare(scores, row, column)
    arrays = (scores.contiguous().numpy(), row.numpy(), column.numpy())
    blocks = over_rows(len(row), lambda start, stop: _count_ahead(*arrays, start, stop))
    return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *blocks]))


def _compare(scores: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Implement :func:`count_ahead` with torch operations, for any device."""
    place = torch.arange(scores.shape[1], device=scores.device)
    ahead = torch.empty_like(row)
    for pairs in row_chunks(len(row), scores.shape[1]):
        others = scores[row[pairs]]
        own = others.gather(1, column[pairs, None])
        before = (others > own) | ((others == own) & (place < column[pairs, None]))
        ahead[pairs] = before.sum(dim=1)
    return ahead


@compiled()
def _count_ahead(scores, row, column, start, stop):
    ahead = np.empty(stop - start, np.int64)
    for pair in range(start, stop):
        others, place = scores[row[pair]], column[pair]
        own = others[place]
        ahead[pair - start] = _at_least(others[:place], own) + _above(others[place + 1 :], own)
    return ahead


# Separate branch-free loops with 32-bit counts, so that the compiler vectorizes them.
@compiled()
def _at_least(values, limit):
    count = np.int32(0)
    for position in range(len(values)):
        count = np.int32(count + (values[position] >= limit))
    return count


@compiled()
def _above(values, limit):
    count = np.int32(0)
    for position in range(len(values)):
        count = np.int32(count + (values[position] > limit))
    return count
