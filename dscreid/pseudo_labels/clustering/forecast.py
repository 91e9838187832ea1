"""Forecast of the memory of clustering, computed from the sizes before it starts.

Byte counts follow the arrays in the neighbor search, ``jaccard`` and ``dbscan``. They are within a factor of two of the
measured peaks; ``tools/benchmarks/pseudo_labels.py`` compares them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

from dscreid.errors import ResourceError
from dscreid.neighbors import NeighborSearch
from dscreid.neighbors.search import CANDIDATES_PER_NEIGHBOR
from dscreid.pseudo_labels.clustering.density import CANDIDATES, NEIGHBORS
from dscreid.utils.chunks import CHUNK_ELEMENTS
from dscreid.utils.out_of_memory import is_out_of_memory
from dscreid.utils.quantities import size_text

#: A round is refused if the available memory is less than the forecast divided by this factor.
ACCURACY = 2
_FLOAT, _INDEX = 4, 8
#: Entries per neighbor in a row of the encodings after query expansion: 2.2 (clustered) to 5.1 (k1 = 30, k2 = 6).
_EXPANDED = 3.3
#: Approximate maximum of stored pairs per neighbor in a row, and bytes per pair in the graph and its sorted copies.
_PAIRS, _PAIR_BYTES = 0.7, 40
#: Bytes per row in DBSCAN.
_ROW_BYTES = 150


class ClusteringProblem(NamedTuple):
    """One set of ``num`` x ``dimension`` descriptors that is clustered; ``k1`` is None if it is chosen in each call."""

    num: int
    dimension: int
    k1: int | None = 30


class Forecast(NamedTuple):
    """Expected peak memory of a round of clustering in addition to the features; device means GPU."""

    host_bytes: int = 0
    device_bytes: int = 0

    def __str__(self) -> str:
        on_gpu = f' and {size_text(self.device_bytes)} of GPU memory' if self.device_bytes else ''
        return f'{size_text(self.host_bytes)} of main memory{on_gpu}'


def forecast_round(problems: Sequence[ClusteringProblem], search: NeighborSearch, device: str = 'cpu') -> Forecast:
    """Forecast a round that clusters several sets in turn while the float32 descriptors of all sets stay in memory.

    ``device`` (``'cpu'`` or ``'cuda'``) is that of the features.
    """
    on_gpu = device == 'cuda'
    held = sum(p.num * p.dimension for p in problems) * _FLOAT
    host = device_peak = 0
    for problem in problems:
        rows = problem.num * problem.dimension * _FLOAT
        searching, searches_on_gpu = _search_bytes(problem, search, on_gpu), on_gpu and search.is_exact(problem.num)
        host = max(host, 0 if searches_on_gpu else searching, rows + _kernel_bytes(problem))
        device_peak = max(device_peak, on_gpu * rows + searches_on_gpu * searching)
    return Forecast(host, held + device_peak) if on_gpu else Forecast(held + host, 0)


def _search_bytes(problem: ClusteringProblem, search: NeighborSearch, on_gpu: bool) -> int:
    """Peak of a search on its device; on a GPU without descriptors, and without blocks, which fit into what is free."""
    num, neighbors = problem.num, _neighbors(problem)
    rows, found = num * problem.dimension * _FLOAT, num * neighbors * (_FLOAT + _INDEX)
    if not search.is_exact(num):
        wanted = min(num, max(neighbors + 1, CANDIDATES_PER_NEIGHBOR * neighbors))
        return 2 * rows + 3 * num * wanted * (_FLOAT + _INDEX) + CHUNK_ELEMENTS * _FLOAT
    if on_gpu:
        return found
    # The next block is computed while the last one is held; the check for finite values may need more.
    block = min(max(CHUNK_ELEMENTS, num), num**2) * _FLOAT
    return max(rows + 2 * block + found, rows + 2 * num * problem.dimension)


def _kernel_bytes(problem: ClusteringProblem) -> int:
    k1 = min(problem.num, max(CANDIDATES) if problem.k1 is None else problem.k1)
    sets = (k1 + k1 // 2 + 1) * _FLOAT
    encodings = min(_EXPANDED * k1, problem.num) * (_FLOAT + _FLOAT)
    pairs = min(_PAIRS * k1, problem.num)
    # Encodings by rows and by columns; pairs in blocks and as a whole.
    comparing = 2 * encodings + 2 * pairs * (_FLOAT + _FLOAT)
    kernels = int(problem.num * max(sets + 2 * encodings, comparing, pairs * _PAIR_BYTES + _ROW_BYTES))
    return problem.num * _neighbors(problem) * _FLOAT + kernels


def _neighbors(problem: ClusteringProblem) -> int:
    return min(problem.num, NEIGHBORS if problem.k1 is None else problem.k1)


def check_fits(
    forecast: Forecast, problems: Sequence[ClusteringProblem], host_free: int | None, device_free: int | None = None
) -> str | None:
    """Return a warning if the forecast of a round exceeds the available bytes (None if unknown), otherwise None.

    Raises ResourceError if even half of it exceeds them.
    """
    warnings = []
    for kind, needed, free in zip(('main memory', 'GPU memory'), forecast, (host_free, device_free), strict=True):
        if free is None or needed <= free:
            continue
        available = f'but only {size_text(free)} is available; {_remedies(kind)}'
        message = f'clustering {_described(problems)} needs about {size_text(needed)} of {kind}, {available}'
        if needed > ACCURACY * free:
            raise ResourceError(message)
        warnings.append(message)
    return '; '.join(warnings) or None


@contextmanager
def memory_errors(problems: Sequence[ClusteringProblem] | None, host_free: int | None) -> Iterator[None]:
    """Convert out-of-memory errors in the block into ResourceError with sizes and remedies; None means unknown."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        kind = 'GPU memory' if on_gpu else 'main memory'
        had = '' if on_gpu or host_free is None else f' ({size_text(host_free)} was available)'
        what = _described(problems) if problems else 'the tracklets'
        raise ResourceError(f'clustering {what} ran out of {kind}{had}; {_remedies(kind)}') from error


def _described(problems: Sequence[ClusteringProblem]) -> str:
    sizes = ' and '.join(f'{p.num:,} x {p.dimension:,}' for p in problems)
    k1 = ' and '.join(dict.fromkeys('auto' if p.k1 is None else str(p.k1) for p in problems))
    return f'N x D = {sizes}, k1 = {k1},'


def _remedies(kind: str) -> str:
    search = "search on the CPU with ClusterHook's neighbor_search=dict(index='HNSW32', parameters='efSearch=64'), "
    return (
        f"{search if kind == 'GPU memory' else ''}use a smaller k1 (a number instead of 'auto') or eps, end other "
        'processes, or use a machine with more memory'
    )
