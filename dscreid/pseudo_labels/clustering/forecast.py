"""Forecast of the time and memory of clustering, computed from the sizes before it starts.

Byte counts follow the arrays in the neighbor search, ``jaccard`` and ``dbscan``. Times were measured on two cores of an
Intel Xeon; ``tools/benchmarks/pseudo_labels.py`` compares forecast and measurement.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass

import torch

from dscreid.errors import ResourceError
from dscreid.neighbors import NeighborSearch
from dscreid.neighbors.exact import COARSE_FROM, COARSE_MARGIN, GPU_COLUMNS, GPU_ELEMENTS
from dscreid.neighbors.search import CANDIDATES_PER_NEIGHBOR
from dscreid.pseudo_labels.clustering.density import CANDIDATES, NEIGHBORS
from dscreid.utils.chunks import CHUNK_ELEMENTS
from dscreid.utils.quantities import duration_text, size_text

_FLOAT, _INDEX, _HALF = 4, 8, 2
#: Entries per neighbor in a row of the encodings after query expansion: 2.2 (clustered) to 5.1 (k1 = 30, k2 = 6).
_EXPANDED = 3.3
#: Approximate maximum of stored pairs per neighbor in a row, and bytes per pair in the graph and its sorted copies.
_PAIRS, _PAIR_BYTES = 0.7, 40
#: Bytes per row in DBSCAN.
_ROW_BYTES = 150
#: Speed of an exact search relative to a large matrix product.
_EFFICIENCY = 0.7
#: Seconds of one thread per row of the Jaccard distance with k1 = 30, D = 1,536, and per row of DBSCAN.
_JACCARD_ROW, _DBSCAN_ROW = 7.5e-5, 4e-6


@dataclass(frozen=True)
class ClusteringProblem:
    """One set of ``num`` x ``dimension`` descriptors that is clustered; ``k1`` is None if it is chosen in each call.

    ``further_searches`` follow the clustering, in units of a num x num x dimension search.
    """

    num: int
    dimension: int
    k1: int | None = 30
    further_searches: float = 0.0

    @property
    def neighbors(self) -> int:
        """Number of neighbors to search."""
        return min(self.num, NEIGHBORS if self.k1 is None else self.k1)

    @property
    def trials(self) -> tuple[int, ...]:
        """All values of ``k1`` that are tried, the largest last."""
        if self.k1 is not None:
            return (min(self.k1, self.num),)
        return tuple(size for size in CANDIDATES if size <= max(self.num // 3, 2))


@dataclass(frozen=True)
class Forecast:
    """Expected time and peak memory in addition to the features, with lower bounds of the memory; device means GPU."""

    seconds: float = 0.0
    host_bytes: int = 0
    device_bytes: int = 0
    least_host_bytes: int = 0
    least_device_bytes: int = 0

    def __str__(self) -> str:
        parts = [f'about {duration_text(self.seconds)}', f'{size_text(self.host_bytes)} of main memory']
        if self.device_bytes:
            parts.append(f'{size_text(self.device_bytes)} of GPU memory')
        return f'{", ".join(parts)} in addition to the features'


def forecast_round(
    problems: Sequence[ClusteringProblem], search: NeighborSearch, rate: float, device: str = 'cpu', threads: int = 1
) -> Forecast:
    """Forecast a round that clusters several sets in turn while the descriptors of all sets stay in memory.

    ``rate`` is that of :func:`product_rate`, ``device`` (``'cpu'`` or ``'cuda'``) that of the features, and ``threads``
    the number of threads of the compiled kernels. An approximate search counts as long as an exact one.
    """
    parts = [astuple(forecast_clustering(p, search, rate, device, threads)) for p in problems if p.num]
    if not parts:
        return Forecast()
    held = sum(p.num * p.dimension for p in problems) * _FLOAT
    host, gpu = (0, held) if device == 'cuda' else (held, 0)
    seconds, *sizes = zip(*parts, strict=True)
    peaks = [more + max(size) for more, size in zip((host, gpu, host, gpu), sizes, strict=True)]
    return Forecast(sum(seconds), *peaks)


def forecast_clustering(
    problem: ClusteringProblem, search: NeighborSearch, rate: float, device: str = 'cpu', threads: int = 1
) -> Forecast:
    """Forecast one set, not counting its float32 descriptors; the arguments are those of :func:`forecast_round`."""
    on_gpu = device == 'cuda'
    searches_on_gpu = on_gpu and search.is_exact(problem.num)
    normalized = problem.num * problem.dimension * _FLOAT
    certain, expected = _search_bytes(problem, search, on_gpu)
    read = problem.num * (problem.dimension * _FLOAT + problem.neighbors * _FLOAT)
    return Forecast(
        seconds=_seconds(problem, rate, threads),
        host_bytes=max(0 if searches_on_gpu else expected, read + _kernel_bytes(problem)),
        device_bytes=on_gpu * normalized + searches_on_gpu * expected,
        least_host_bytes=max(0 if searches_on_gpu else certain, read),
        least_device_bytes=on_gpu * normalized + searches_on_gpu * certain,
    )


def product_rate(device: str = 'cpu') -> float:
    """Measure operations per second of a large matrix product, the best of a few short runs."""
    size = 8192 if device == 'cuda' else 768
    left, right = (torch.ones(size, size, device=device) for _ in range(2))
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        float((left @ right)[0, 0])  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def _search_bytes(problem: ClusteringProblem, search: NeighborSearch, on_gpu: bool) -> tuple[int, int]:
    """Lower bound and expected bytes of a search on its device; on a GPU without the normalized descriptors."""
    num, neighbors = problem.num, problem.neighbors
    rows = num * problem.dimension
    if not search.is_exact(num):
        found = num * min(num, max(neighbors + 1, CANDIDATES_PER_NEIGHBOR * neighbors)) * (_FLOAT + _INDEX)
        certain = rows * _FLOAT + found
        return certain, certain + rows * _FLOAT + 2 * found + CHUNK_ELEMENTS * _FLOAT
    if not on_gpu:
        block = min(max(CHUNK_ELEMENTS, num), num**2) * _FLOAT
        certain = rows * _FLOAT + block + num * neighbors * (_FLOAT + _INDEX)
        # The next block is computed while the last one is held; the check for finite values may need more.
        return certain, max(certain + block, rows * (_FLOAT + 2))
    coarse = num >= COARSE_FROM
    width, number = (neighbors + COARSE_MARGIN, _HALF) if coarse else (neighbors, _FLOAT)
    certain = num * width * (number + _INDEX) + (rows * _HALF if coarse else 0)
    return certain, certain + 4 * min(GPU_ELEMENTS, num * min(num, GPU_COLUMNS)) * number


def _kernel_bytes(problem: ClusteringProblem) -> int:
    k1 = problem.trials[-1]
    sets = (k1 + k1 // 2 + 1) * _FLOAT
    encodings = min(_EXPANDED * k1, problem.num) * (_FLOAT + _FLOAT)
    pairs = min(_PAIRS * k1, problem.num)
    # Encodings by rows and by columns; pairs in blocks and as a whole.
    comparing = 2 * encodings + 2 * pairs * (_FLOAT + _FLOAT)
    return int(problem.num * max(sets + 2 * encodings, comparing, pairs * _PAIR_BYTES + _ROW_BYTES))


def _seconds(problem: ClusteringProblem, rate: float, threads: int) -> float:
    searches = problem.further_searches + (2 if problem.k1 is None else 1)  # once to choose k1, once with it
    searching = searches * 2 * problem.num**2 * problem.dimension / (rate * _EFFICIENCY)
    # At D = 1,536, two thirds of a row's time are inner products, one per entry. Overlaps grow with the square of k1.
    jaccard = sum(
        _JACCARD_ROW * (2 / 3 * k1 / 30 * problem.dimension / 1536 + 1 / 3 * (k1 / 30) ** 2) for k1 in problem.trials
    )
    return searching + problem.num * (jaccard / threads + _DBSCAN_ROW * len(problem.trials))


def check_fits(
    forecast: Forecast, problems: Sequence[ClusteringProblem], host_free: int | None, device_free: int | None = None
) -> str | None:
    """Return a warning if the expected peak of a round exceeds the available bytes (None if unknown), otherwise None.

    Raises ResourceError if even the lower bound exceeds them.
    """
    warnings = []
    for kind, least, expected, free in (
        ('main memory', forecast.least_host_bytes, forecast.host_bytes, host_free),
        ('GPU memory', forecast.least_device_bytes, forecast.device_bytes, device_free),
    ):
        if free is None or max(least, expected) <= free:
            continue
        need = f'at least {size_text(least)}' if least > free else f'about {size_text(expected)}'
        available = f'but only {size_text(free)} is available; {remedies(kind)}'
        message = f'clustering {_described(problems)} needs {need} of {kind}, {available}'
        if least > free:
            raise ResourceError(message)
        warnings.append(message)
    return '; '.join(warnings) or None


@contextmanager
def memory_errors(problems: Sequence[ClusteringProblem] | None, host_free: int | None) -> Iterator[None]:
    """Convert out-of-memory errors in the block into ResourceError with sizes and remedies; None means unknown."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        if not on_gpu and not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
            raise
        kind = 'GPU memory' if on_gpu else 'main memory'
        had = '' if on_gpu or host_free is None else f' ({size_text(host_free)} was available)'
        what = _described(problems) if problems else 'the tracklets'
        raise ResourceError(f'clustering {what} ran out of {kind}{had}; {remedies(kind)}') from error


def _described(problems: Sequence[ClusteringProblem]) -> str:
    sizes = ' and '.join(f'{p.num:,} x {p.dimension:,}' for p in problems)
    k1 = ' and '.join(dict.fromkeys('auto' if p.k1 is None else str(p.k1) for p in problems))
    return f'N x D = {sizes}, k1 = {k1},'


def remedies(kind: str) -> str:
    """List what helps if ``'main memory'`` or ``'GPU memory'`` is too small."""
    search = "search on the CPU with ClusterHook's neighbor_search=dict(index='IVF1024,Flat'), "
    return (
        f"{search if kind == 'GPU memory' else ''}use a smaller k1 (a number instead of 'auto') or eps, end other "
        'processes, or use a machine with more memory'
    )
