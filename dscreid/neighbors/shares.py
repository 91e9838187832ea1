"""Exact neighbor searches of the first process, of which all processes of a run compute shares."""

import itertools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

import torch
from mmengine.dist import broadcast_object_list, get_rank, get_world_size, is_main_process
from torch import Tensor
from torch import distributed as torch_dist

from dscreid.distributed import from_main_process, wait_for_all
from dscreid.distributed.exchange import host_group
from dscreid.errors import DscreidError
from dscreid.neighbors.exact import exact_neighbors, neighbors_of_rows, search_blocks

Result = TypeVar('Result')
_OTHERS_SERVE: ContextVar[bool] = ContextVar('others_serve', default=False)


class _Request(NamedTuple):
    """What the other processes need to know of a search."""

    num_queries: int | None  # None: the gallery
    num_gallery: int
    dimension: int
    dtype: torch.dtype
    on_gpu: bool
    k: int
    self_first: bool
    row_blocks: list[slice]
    column_blocks: list[slice]


def with_shared_searches(function: Callable[[], Result]) -> Result:
    """Call :func:`~dscreid.distributed.from_main_process`, and let all processes share the function's exact searches.

    All processes must call it together. The others only search: each one receives the features, on its own GPU if
    they are on one, and computes some of the blocks of rows. The result has the same bits as that of one process.
    """
    if get_world_size() == 1:
        return function()
    if not is_main_process():
        while (request := _exchange(None)) is not None:
            _serve(request)

    def lead() -> Result:
        token = _OTHERS_SERVE.set(True)
        try:
            result = function()
        except DscreidError:
            _exchange(None)
            raise
        finally:
            _OTHERS_SERVE.reset(token)
        _exchange(None)
        return result

    return from_main_process(lead)


def shared_exact_neighbors(queries: Tensor, gallery: Tensor, k: int, self_first: bool = False) -> tuple[Tensor, Tensor]:
    """Search as :func:`exact_neighbors`, sharing the work within :func:`with_shared_searches`.

    A search with fewer blocks of rows than processes is not worth it, and is done alone.
    """
    row_blocks, column_blocks = search_blocks(queries, gallery)
    if not _OTHERS_SERVE.get() or len(row_blocks) < get_world_size():
        return exact_neighbors(queries, gallery, k, self_first)
    request = _Request(
        num_queries=None if self_first else len(queries),
        num_gallery=len(gallery),
        dimension=gallery.shape[1],
        dtype=gallery.dtype,
        on_gpu=gallery.is_cuda,
        k=k,
        self_first=self_first,
        row_blocks=row_blocks,
        column_blocks=column_blocks,
    )
    _exchange(request)
    for features in (gallery,) if self_first else (gallery, queries):
        torch_dist.broadcast(features.contiguous(), src=0, group=_group(request))
    similarity = queries.new_empty((len(queries), k))
    index = torch.empty((len(queries), k), dtype=torch.int64, device=queries.device)
    shares = _shares(row_blocks, get_world_size())
    own = slice(shares[0][0].start, shares[0][-1].stop)
    similarity[own], index[own] = neighbors_of_rows(queries, gallery, k, shares[0], column_blocks, self_first)
    wait_for_all()
    for rank, blocks in enumerate(shares[1:], start=1):
        for found in (similarity, index):
            torch_dist.recv(found[blocks[0].start : blocks[-1].stop], src=rank, group=_group(request))
    return similarity, index


def _serve(request: _Request) -> None:
    """Compute this process's share of a search and send it to the first process."""
    device = torch.device('cuda', torch.cuda.current_device()) if request.on_gpu else torch.device('cpu')

    def received(num_rows: int) -> Tensor:
        rows = torch.empty((num_rows, request.dimension), dtype=request.dtype, device=device)
        torch_dist.broadcast(rows, src=0, group=_group(request))
        return rows

    gallery = received(request.num_gallery)
    queries = gallery if request.num_queries is None else received(request.num_queries)
    blocks = _shares(request.row_blocks, get_world_size())[get_rank()]
    share = neighbors_of_rows(queries, gallery, request.k, blocks, request.column_blocks, request.self_first)
    wait_for_all()  # signals are handled until all have finished
    for found in share:
        torch_dist.send(found, dst=0, group=_group(request))


def _exchange(request: _Request | None) -> _Request | None:
    """Return the first process's request on all processes; None if it needs no further search."""
    wait_for_all()  # the others handle signals until there is a request
    message: list[Any] = [request]
    broadcast_object_list(message, group=host_group())
    return message[0]


def _group(request: _Request) -> Any:
    """Return the process group that carries the features: the run's own between GPUs."""
    return torch_dist.group.WORLD if request.on_gpu else host_group()


def _shares(blocks: list[slice], num: int) -> list[list[slice]]:
    """Split at least ``num`` blocks into consecutive shares whose lengths differ by at most one."""
    bounds = [rank * len(blocks) // num for rank in range(num + 1)]
    return [blocks[start:stop] for start, stop in itertools.pairwise(bounds)]
