"""Forecast of the time and memory of clustering, computed from the sizes before it starts.

Byte counts follow the arrays in the neighbor search, ``jaccard`` and ``clustering``. Quantities that depend
on the features (sizes of the encodings, stored pairs) are set between the values for clustered and for
unstructured features. Time constants were measured on two cores of an Intel Xeon.
``tools/benchmarks/pseudo_labels.py`` prints forecast and measurement side by side.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from dscreid.neighbors import NeighborSearch
from dscreid.neighbors.approximate import CANDIDATES_PER_NEIGHBOR, num_cells
from dscreid.neighbors.exact import COARSE_FROM, COARSE_MARGIN, GPU_COLUMNS, GPU_ELEMENTS
from dscreid.pseudo_labels.density import CANDIDATES, NEIGHBORS
from dscreid.structures import Modality
from dscreid.utils.chunks import CHUNK_ELEMENTS

_FLOAT, _INDEX, _HALF = 4, 8, 2
#: Entries per neighbor in a row of the encodings after query expansion: 2.2 for clustered features, 5.1 for
#: unstructured ones (k1 = 30, k2 = 6). Before query expansion, a row has about one per neighbor.
_EXPANDED = 3.3
#: Approximate maximum of stored pairs per neighbor in a row, and bytes per pair in the graph and its sorted copies.
_PAIRS, _PAIR_BYTES = 0.7, 40
#: Bytes per row in DBSCAN, which keeps a separate array of neighbors for each row.
_ROW_BYTES = 150
#: Bytes per row in the graph of 'hnsw': 32 links on each side, and more on the upper levels.
_GRAPH_BYTES = 280
#: Speed of a search, including the selection of the largest entries, relative to a large matrix product.
_EFFICIENCY = {'exact': 0.7, 'flat': 0.5, 'ivf': 0.15, 'hnsw': 0.03}
#: k-means iterations with which faiss trains cells, and inner products per kept candidate in a walk through the graph.
_TRAINING_ROUNDS, _WALK = 10, 30
#: Seconds of one thread per row of the Jaccard distance with k1 = 30, D = 1,536, and per row of DBSCAN.
_JACCARD_ROW, _DBSCAN_ROW = 7.5e-5, 4e-6


@dataclass(frozen=True)
class ClusteringProblem:
    """One set of tracklets that is clustered together.

    Attributes:
        num: Number of tracklets N.
        dimension: Dimension D of their descriptors.
        k1: Number of neighbors in the Jaccard distance. None if it is chosen from the density of the
            features.
        further_searches: Cost of searches after the clustering, in units of an N x N x D search.
    """

    num: int
    dimension: int
    k1: int | None = 30
    further_searches: float = 0.0

    @property
    def neighbors(self) -> int:
        """Number of neighbors to search, including the tracklet itself."""
        return min(self.num, NEIGHBORS if self.k1 is None else self.k1)

    @property
    def trials(self) -> tuple[int, ...]:
        """All values of ``k1`` that are tried, the largest last."""
        if self.k1 is not None:
            return (min(self.k1, self.num),)
        return tuple(size for size in CANDIDATES if size <= max(self.num // 3, 2))


@dataclass(frozen=True)
class Forecast:
    """Time and memory of clustering, not counting the features as returned by the model.

    Attributes:
        seconds: Duration.
        host_bytes: Expected peak of main memory.
        device_bytes: Expected peak of GPU memory; 0 on a CPU.
        least_host_bytes: Lower bound of ``host_bytes``: arrays that exist at the same time for any features.
        least_device_bytes: Lower bound of ``device_bytes``.
    """

    seconds: float = 0.0
    host_bytes: int = 0
    device_bytes: int = 0
    least_host_bytes: int = 0
    least_device_bytes: int = 0


def problems_of(
    labeler: Callable, counts: Mapping[Modality, int], dimension: int
) -> list[ClusteringProblem] | None:
    """List the sets that a labeler, or the labeler that forms its clusters, will cluster.

    Args:
        labeler: A labeler with a method ``problems(counts, dimension)``, or with a ``clustering`` that has
            it.
        counts: Number of tracklets of each modality.
        dimension: Dimension of static and dynamic features together.

    Returns:
        The sets, which are clustered one after another. None if unknown.
    """
    for candidate in (labeler, getattr(labeler, 'clustering', None)):
        if hasattr(candidate, 'problems'):
            return candidate.problems(counts, dimension)
    return None


def forecast_round(
    problems: Sequence[ClusteringProblem],
    search: NeighborSearch,
    rate: float,
    device: str = 'cpu',
    threads: int = 1,
) -> Forecast:
    """Forecast a round that clusters several sets in turn while the descriptors of all sets stay in memory.

    Args:
        problems: The sets.
        search: The neighbor search.
        rate: Operations per second of a large matrix product on the device of the features, see
            :func:`product_rate`.
        device: ``'cpu'`` or ``'cuda'``, the device of the features.
        threads: Number of threads of the compiled kernels.

    Returns:
        The forecast. Times on a GPU rest on assumptions that have not been measured.
    """
    parts = [forecast_clustering(p, search, rate, device, threads) for p in problems if p.num]
    if not parts:
        return Forecast()
    held = sum(p.num * p.dimension for p in problems) * _FLOAT
    on_host, on_device = (0, held) if device == 'cuda' else (held, 0)
    return Forecast(
        seconds=sum(part.seconds for part in parts),
        host_bytes=on_host + max(part.host_bytes for part in parts),
        device_bytes=on_device + max(part.device_bytes for part in parts),
        least_host_bytes=on_host + max(part.least_host_bytes for part in parts),
        least_device_bytes=on_device + max(part.least_device_bytes for part in parts),
    )


def forecast_clustering(
    problem: ClusteringProblem,
    search: NeighborSearch,
    rate: float,
    device: str = 'cpu',
    threads: int = 1,
    itemsize: int = _FLOAT,
) -> Forecast:
    """Forecast neighbor search, Jaccard distance and DBSCAN of one set, not counting its descriptors.

    Args:
        problem: The set.
        search: The neighbor search.
        rate: See :func:`forecast_round`.
        device: See :func:`forecast_round`.
        threads: See :func:`forecast_round`.
        itemsize: Bytes per number of the descriptors: 4, or 8 for float64.
    """
    if not problem.num:
        return Forecast()
    on_gpu = device == 'cuda'
    method = search.method_for(problem.num, problem.num, problem.dimension, on_gpu)
    normalized = problem.num * problem.dimension * itemsize
    certain, expected = _search_bytes(problem, method, on_gpu, itemsize)
    # The kernels read float32 rows and int32 neighbors on the host. On a CPU, these rows already exist.
    read = problem.num * (problem.dimension * _FLOAT + problem.neighbors * _FLOAT)
    searching_on_gpu = on_gpu and method == 'exact'
    host_certain, host_expected = (0, 0) if searching_on_gpu else (certain, expected)
    return Forecast(
        seconds=_search_seconds(problem, method, search.effort, rate) + _kernel_seconds(problem, threads),
        host_bytes=max(host_expected, read + _kernel_bytes(problem)),
        device_bytes=normalized + expected if searching_on_gpu else normalized if on_gpu else 0,
        least_host_bytes=max(host_certain, read),
        least_device_bytes=normalized + certain if searching_on_gpu else normalized if on_gpu else 0,
    )


def product_rate(device: str = 'cpu', dtype: torch.dtype = torch.float32) -> float:
    """Measure matrix product operations per second, the best of a few runs of some milliseconds each."""
    size = 8192 if device == 'cuda' else 768
    left, right = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        float((left @ right)[0, 0])  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def _search_bytes(problem: ClusteringProblem, method: str, on_gpu: bool, itemsize: int) -> tuple[int, int]:
    """Lower bound and expected bytes of a search on its device; on a GPU without the normalized descriptors."""
    num, neighbors = problem.num, problem.neighbors
    rows = num * problem.dimension
    if method != 'exact':
        found = num * min(num, max(neighbors + 1, CANDIDATES_PER_NEIGHBOR * neighbors)) * (_FLOAT + _INDEX)
        certain = 2 * rows * _FLOAT + found + (num * _GRAPH_BYTES if method == 'hnsw' else num * _INDEX)
        # The results are sorted, and a block of candidates is scored.
        return certain, certain + 2 * found + CHUNK_ELEMENTS * _FLOAT
    if not on_gpu:
        block = min(max(CHUNK_ELEMENTS, num), num**2) * itemsize
        certain = rows * itemsize + block + num * neighbors * (itemsize + _INDEX)
        # The next block is computed while the last one is held. The earlier check for finite values may need more.
        return certain, max(certain + block, rows * (itemsize + 2))
    coarse = itemsize == _FLOAT and num >= COARSE_FROM
    width, number = (neighbors + COARSE_MARGIN, _HALF) if coarse else (neighbors, itemsize)
    certain = num * width * (number + _INDEX) + (rows * _HALF if coarse else 0)
    return certain, certain + 4 * min(GPU_ELEMENTS, num * min(num, GPU_COLUMNS)) * number


def _kernel_bytes(problem: ClusteringProblem) -> int:
    """Expected peak bytes of the Jaccard distance and DBSCAN."""
    k1 = problem.trials[-1]
    sets = (k1 + k1 // 2 + 1) * _FLOAT
    encodings = min(_EXPANDED * k1, problem.num) * (_FLOAT + _FLOAT)
    pairs = min(_PAIRS * k1, problem.num)
    # Encodings by rows and by columns; pairs in blocks and as a whole.
    comparing = 2 * encodings + 2 * pairs * (_FLOAT + _FLOAT)
    return int(problem.num * max(sets + 2 * encodings, comparing, pairs * _PAIR_BYTES + _ROW_BYTES))


def _search_seconds(problem: ClusteringProblem, method: str, effort: int, rate: float) -> float:
    num = problem.num
    times = problem.further_searches + (2 if problem.k1 is None else 1)  # once to choose k1, once with it
    products = {
        'exact': num * num,
        'flat': num * num,
        'ivf': num * num_cells(num) * (2 + _TRAINING_ROUNDS) + num * num * min(1, effort / num_cells(num)),
        'hnsw': _WALK * num * max(effort, CANDIDATES_PER_NEIGHBOR * problem.neighbors),
    }[method]
    return times * 2 * products * problem.dimension / (rate * _EFFICIENCY[method])


def _kernel_seconds(problem: ClusteringProblem, threads: int) -> float:
    # At D = 1,536, two thirds of a row's time are inner products, one per entry. Overlaps grow with the square of k1.
    jaccard = sum(
        _JACCARD_ROW * (2 / 3 * k1 / 30 * problem.dimension / 1536 + 1 / 3 * (k1 / 30) ** 2)
        for k1 in problem.trials
    )
    return problem.num * (jaccard / threads + _DBSCAN_ROW * len(problem.trials))
