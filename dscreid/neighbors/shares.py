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
from dscreid.utils.out_of_memory import is_out_of_memory

Result = TypeVar('Result')
_OutOfMemory = MemoryError | torch.OutOfMemoryError
#: A search with fewer blocks of rows for each process is done alone.
BLOCKS_PER_PROCESS = 2
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

    def share(self, rank: int) -> list[slice]:
        """Return the row blocks of a process: consecutive ones, as many as others have, or one more or less."""
        num = len(self.row_blocks)
        return self.row_blocks[rank * num // get_world_size() : (rank + 1) * num // get_world_size()]


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

    Raises:
        MemoryError: If any process lacks memory for its share (torch.OutOfMemoryError on a GPU).
        ConnectionError: If the processes fail to exchange it, after which this process must end.
    """
    if not _OTHERS_SERVE.get():
        return exact_neighbors(queries, gallery, k, self_first)
    row_blocks, column_blocks = search_blocks(queries, gallery)
    if len(row_blocks) < BLOCKS_PER_PROCESS * get_world_size():
        return exact_neighbors(queries, gallery, k, self_first)
    features = [gallery.contiguous()] if self_first else [gallery.contiguous(), queries.contiguous()]
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
    try:
        found, failure = _take_part(request, features)
    except (MemoryError, RuntimeError) as error:
        # Handled like lack of memory, it would leave the other processes waiting.
        raise ConnectionError(
            f'the processes of the run failed to share a neighbor search: {error}; run it again with --resume, and if '
            'this repeats, with default_hooks.cluster.neighbor_search.shared=False'
        ) from error
    if failure is not None:
        raise failure
    similarity, index = (part.to(queries.device) for part in found)
    return similarity, index


def _take_part(request: _Request, features: Sequence[Tensor] = ()) -> tuple[list[Tensor], _OutOfMemory | None]:
    """Exchange the features and search this process's share; the first process has the features and gets all shares.

    Returns the neighbors on the CPU, only on the first process, and the error if a process lacked memory. All
    processes tell this before each exchange, which then needs no further memory, so that none waits for another.
    """
    features, failure = _if_memory_suffices(request.on_gpu, lambda: [*features] or _buffers(request))
    if failure is not None:
        return [], failure
    for rows in features:
        torch_dist.broadcast(rows, src=0, group=torch_dist.group.WORLD if request.on_gpu else host_group())
    found, failure = _if_memory_suffices(request.on_gpu, lambda: _own_share(request, features))
    if failure is not None:
        return [], failure
    if is_main_process():
        for rank in range(1, get_world_size()):
            for part in found:
                torch_dist.recv(part[_rows(request.share(rank))], src=rank, group=host_group())
    else:
        for part in found:
            torch_dist.send(part, dst=0, group=host_group())
    return found, None


def _if_memory_suffices(on_gpu: bool, function: Callable[[], list[Tensor]]) -> tuple[list[Tensor], _OutOfMemory | None]:
    """Call a function on all processes, and return its result, or an error on all if any process lacked memory."""
    result: list[Tensor] = []
    reason = None
    try:
        result = function()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = f'process {get_rank()} of {get_world_size()} lacks memory for its share of a search: {error}'
    wait_for_all()  # signals are handled until all have finished
    reasons = [one for one in gather_objects(reason) if one is not None]
    if not reasons:
        return result, None
    return [], (torch.OutOfMemoryError if on_gpu else MemoryError)(reasons[0])


def _buffers(request: _Request) -> list[Tensor]:
    """Allocate what receives the features."""
    device = torch.device('cuda', torch.cuda.current_device()) if request.on_gpu else torch.device('cpu')
    sizes = [request.num_gallery] if request.self_first else [request.num_gallery, request.num_queries]
    return [torch.empty((size, request.dimension), dtype=request.dtype, device=device) for size in sizes]


def _own_share(request: _Request, features: Sequence[Tensor]) -> list[Tensor]:
    """Search the rows of this process; on the first one, the result has room for those of the others."""
    blocks = request.share(get_rank())
    share = neighbors_of_rows(
        features[-1], features[0], request.k, blocks, request.column_blocks, self_first=request.self_first
    )
    if not is_main_process():
        return [part.cpu() for part in share]
    found = [torch.empty((request.num_queries, request.k), dtype=part.dtype) for part in share]
    for part, own in zip(found, share, strict=True):
        part[_rows(blocks)] = own.cpu()
    return found


def _rows(blocks: Sequence[slice]) -> slice:
    return slice(blocks[0].start, blocks[-1].stop)


def _announced(request: _Request | None) -> _Request | None:
    """Return the first process's request on all processes; None if it needs no further search."""
    wait_for_all()  # the others handle signals until there is a request
    message: list[Any] = [request]
    broadcast_object_list(message, group=host_group())
    return message[0]
