"""Exact neighbor searches of the first process, of which all processes of a run compute shares."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

import torch
from mmengine.dist import broadcast_object_list, get_rank, get_world_size, is_main_process
from torch import Tensor
from torch import distributed as torch_dist

from dscreid.distributed import from_main_process, gather_objects, wait_for_all
from dscreid.distributed.exchange import host_group
from dscreid.errors import DscreidError
from dscreid.neighbors.exact import exact_neighbors, neighbors_of_rows, search_blocks

Result = TypeVar('Result')
#: What a process may raise for lack of memory. It is reported to the first process, which raises it.
_MEMORY_ERRORS = (MemoryError, RuntimeError)
_OTHERS_SERVE: ContextVar[bool] = ContextVar('others_serve', default=False)


class _Request(NamedTuple):
    """A search that all processes share, without its features."""

    num_queries: int
    num_gallery: int
    dimension: int
    dtype: torch.dtype
    on_gpu: bool
    k: int
    self_first: bool  # the queries are the gallery
    row_blocks: list[slice]
    column_blocks: list[slice]


def with_shared_searches(function: Callable[[], Result]) -> Result:
    """Call :func:`~dscreid.distributed.from_main_process`, and let all processes share the function's exact searches.

    All processes must call it together. The others only search: each one receives the features, on its own GPU if
    they are on one, and computes some of the blocks of rows.
    """
    if get_world_size() == 1:
        return function()
    if not is_main_process():
        while (request := _announced(None)) is not None:
            _take_part(request)

    def lead() -> Result:
        token = _OTHERS_SERVE.set(True)
        try:
            result = function()
        except DscreidError:
            _announced(None)
            raise
        finally:
            _OTHERS_SERVE.reset(token)
        _announced(None)
        return result

    return from_main_process(lead)


@torch.no_grad()
def shared_exact_neighbors(queries: Tensor, gallery: Tensor, k: int, self_first: bool = False) -> tuple[Tensor, Tensor]:
    """Search as :func:`exact_neighbors`, sharing the work within :func:`with_shared_searches`.

    A search of fewer blocks of rows than processes is done alone.
    """
    row_blocks, column_blocks = search_blocks(queries, gallery)
    if not _OTHERS_SERVE.get() or len(row_blocks) < get_world_size():
        return exact_neighbors(queries, gallery, k, self_first)
    features = (gallery.contiguous(),) if self_first else (gallery.contiguous(), queries.contiguous())
    request = _Request(
        num_queries=len(queries),
        num_gallery=len(gallery),
        dimension=gallery.shape[1],
        dtype=gallery.dtype,
        on_gpu=gallery.is_cuda,
        k=k,
        self_first=self_first,
        row_blocks=row_blocks,
        column_blocks=column_blocks,
    )
    _announced(request)
    shares = _take_part(request, features)
    similarity, index = (torch.cat(parts).to(queries.device) for parts in zip(*shares, strict=True))
    return similarity, index


def _take_part(request: _Request, features: Sequence[Tensor] = ()) -> list[tuple[Tensor, Tensor]]:
    """Exchange the features, search this process's share, and return all shares on the first process.

    After each step all processes tell whether they had enough memory, so that a failure of one leaves none waiting.
    """
    error: Exception | None = None
    try:
        features = features or _buffers(request)
    except _MEMORY_ERRORS as failure:
        error = failure
    if failures := [one for one in gather_objects(error) if one is not None]:
        return _failed(failures)
    for rows in features:
        torch_dist.broadcast(rows, src=0, group=torch_dist.group.WORLD if request.on_gpu else host_group())
    share: Any
    try:
        share = tuple(found.cpu() for found in _own_share(request, features))
    except _MEMORY_ERRORS as failure:
        share = failure
    wait_for_all()  # signals are handled until all have finished
    shares: list[Any] = [None] * get_world_size()
    torch_dist.gather_object(share, shares if is_main_process() else None, dst=0, group=host_group())
    if failures := [one for one in shares if isinstance(one, Exception)]:
        return _failed(failures)
    return shares


def _buffers(request: _Request) -> list[Tensor]:
    """Allocate what receives the features."""
    device = torch.device('cuda', torch.cuda.current_device()) if request.on_gpu else torch.device('cpu')
    sizes = [request.num_gallery] if request.self_first else [request.num_gallery, request.num_queries]
    return [torch.empty((size, request.dimension), dtype=request.dtype, device=device) for size in sizes]


def _own_share(request: _Request, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    blocks, rank, num = request.row_blocks, get_rank(), get_world_size()
    own = blocks[rank * len(blocks) // num : (rank + 1) * len(blocks) // num]
    return neighbors_of_rows(features[-1], features[0], request.k, own, request.column_blocks, request.self_first)


def _failed(failures: Sequence[Exception]) -> list:
    """Raise the first failure on the first process; the others wait for its next request."""
    if is_main_process():
        raise failures[0]
    return []


def _announced(request: _Request | None) -> _Request | None:
    """Return the first process's request on all processes; None if it needs no further search."""
    wait_for_all()  # the others handle signals until there is a request
    message: list[Any] = [request]
    broadcast_object_list(message, group=host_group())
    return message[0]
