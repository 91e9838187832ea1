"""Exact nearest neighbors by inner product, computed in blocks, with a defined order among ties."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dscreid.utils.chunks import row_chunks, slices

#: Maximum number of similarities held at once on a GPU, and of gallery rows per block.
GPU_ELEMENTS = 2**28
GPU_COLUMNS = 2**16


@torch.no_grad()
def exact_neighbors(queries: Tensor, gallery: Tensor, k: int, self_first: bool = False) -> tuple[Tensor, Tensor]:
    """Find the ``k`` gallery rows with the largest inner product for each query, without an N x M array.

    Queries are float (N, D), the gallery (M, D) of the same dtype and device, and ``k`` is at most M. With
    ``self_first``, the queries are the gallery, and row i comes first with infinite similarity.

    Returns ``similarity`` (N, k), descending, and ``index`` int64 (N, k). Ties are broken by the smaller index.
    """
    return neighbors_of_rows(queries, gallery, k, *search_blocks(queries, gallery), self_first=self_first)


@torch.no_grad()
def neighbors_of_rows(
    queries: Tensor,
    gallery: Tensor,
    k: int,
    row_blocks: Sequence[slice],
    column_blocks: Sequence[slice],
    self_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """Search as :func:`exact_neighbors`, for consecutive blocks of queries only.

    The blocks are those of :func:`search_blocks`, or some consecutive ones of its row blocks. Returns ``similarity``
    and ``index`` (R, k) of the R rows of these blocks.
    """
    first = row_blocks[0].start if row_blocks else 0
    num_rows = row_blocks[-1].stop - first if row_blocks else 0
    similarity = queries.new_empty((num_rows, k))
    index = torch.empty((num_rows, k), dtype=torch.int64, device=queries.device)
    # One buffer for all blocks: fresh pages for each cost up to a tenth of the product's time.
    largest = [max(map(_length, blocks), default=0) for blocks in (row_blocks, column_blocks)]
    buffer = queries.new_empty(largest[0] * largest[1])
    for rows in row_blocks:
        values, places = (found.new_empty((_length(rows), 0)) for found in (similarity, index))
        for columns in column_blocks:
            size = _length(rows), _length(columns)
            block = torch.mm(queries[rows], gallery[columns].T, out=buffer[: size[0] * size[1]].view(size))
            if self_first:
                start, stop = max(rows.start, columns.start), min(rows.stop, columns.stop)
                own = torch.arange(start, max(start, stop), device=block.device)
                block[own - rows.start, own - columns.start] = torch.inf
            value, place = largest_per_row(block, min(k, block.shape[1]))
            # New entries have larger indices, so a stable sort lets them lose ties.
            places = torch.cat((places, place + columns.start), dim=1)
            values, order = torch.cat((values, value), dim=1).sort(dim=1, descending=True, stable=True)
            values, places = values[:, :k], places.gather(1, order[:, :k])
        similarity[rows.start - first : rows.stop - first] = values
        index[rows.start - first : rows.stop - first] = places
    return similarity, index


def best_candidates(
    queries: Tensor, gallery: Tensor, candidates: Tensor, k: int, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Score candidates, distinct gallery rows int64 (N, C) with -1 = none, and keep the best ``k`` of each query.

    ``own`` int64 (N,) is the gallery row of each query, which comes first even if it is not a candidate.
    """
    if own is not None:
        missing = ~(candidates == own[:, None]).any(dim=1)
        candidates = candidates.clone()
        candidates[missing, -1] = own[missing]
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


def search_blocks(queries: Tensor, gallery: Tensor) -> tuple[list[slice], list[slice]]:
    """Return the row and column blocks of a search: whole rows on a CPU, tiles that fit into free memory on a GPU."""
    if not queries.is_cuda:
        return row_chunks(len(queries), len(gallery)), slices(len(gallery), max(1, len(gallery)))
    free = torch.cuda.mem_get_info(queries.device)[0]
    # A block, its largest entries and their order take up to four times the memory of the block.
    elements = max(2**20, min(GPU_ELEMENTS, free // (8 * queries.element_size())))
    columns = max(1, min(GPU_COLUMNS, len(gallery)))
    return slices(len(queries), max(1, elements // columns)), slices(len(gallery), columns)


def _length(block: slice) -> int:
    return block.stop - block.start


def largest_per_row(block: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the largest ``k`` entries of each row in descending order; ties go to the smaller column."""
    num_columns = block.shape[1]
    # One extra entry shows whether the last place is tied, because topk does not define the order of ties.
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
    """Select all columns above ``last`` and the first ones equal to it, ``k`` per row, ascending."""
    above = block > last[:, None]
    tied = block == last[:, None]
    places = k - above.sum(dim=1, keepdim=True)
    chosen = above | (tied & (tied.cumsum(dim=1) <= places))
    return chosen.nonzero()[:, 1].view(len(block), k)
