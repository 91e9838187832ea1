"""Count how many gallery tracklets, or how many persons, are ranked before chosen ones."""

import numpy as np
import torch
from torch import Tensor

from dscreid.utils.chunks import row_chunks
from dscreid.utils.compiled import compiled, over_rows


def count_ahead(scores: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Count the gallery tracklets ranked before some chosen ones, int64 (P,); equal scores keep the gallery's order.

    This is faster than sorting if a query has fewer than about a thousand true matches. ``scores`` is float (n, Ng);
    ``row`` and ``column``, int64 (P,), are the query and the gallery row of each chosen tracklet.
    """
    if scores.is_cuda:
        return _count_with_torch(scores, row, column)
    arrays = (scores.contiguous().numpy(), row.numpy(), column.numpy())
    blocks = over_rows(len(row), lambda start, stop: _count_ahead(*arrays, start, stop))
    return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *blocks]))


def _count_with_torch(scores: Tensor, row: Tensor, column: Tensor) -> Tensor:
    ahead = torch.empty_like(row)
    for pairs in row_chunks(len(row), scores.shape[1]):
        ahead[pairs] = _is_before(scores, row[pairs], column[pairs]).sum(dim=1)
    return ahead


def count_persons_ahead(scores: Tensor, row: Tensor, column: Tensor, persons: Tensor) -> Tensor:
    """Count the persons with a gallery tracklet ranked before some chosen ones, int64 (P,).

    ``persons``, int64 (Ng,) from 0 on, numbers the persons of the gallery; the others are those of
    :func:`count_ahead`, whose order also applies.
    """
    count = int(persons.max()) + 1
    found = torch.empty_like(row)
    for pairs in row_chunks(len(row), max(scores.shape[1], count)):
        before = _is_before(scores, row[pairs], column[pairs]).int()
        seen = torch.zeros(len(before), count, dtype=torch.int32, device=scores.device)
        found[pairs] = (seen.index_add_(1, persons, before) > 0).sum(dim=1)
    return found


def _is_before(scores: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Find the gallery tracklets ranked before each chosen one, bool (P, Ng)."""
    place = torch.arange(scores.shape[1], device=scores.device)
    others = scores[row]
    own = others.gather(1, column[:, None])
    return (others > own) | ((others == own) & (place < column[:, None]))


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
