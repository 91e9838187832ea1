"""Time and memory of clustering, told before it starts from the sizes alone.

The counts of bytes follow the arrays of ``neighbor_search``, ``jaccard`` and ``clustering``; what the features decide
(sizes of the encodings, stored pairs) is taken between clustered and unstructured ones. Constants of time are those of
two cores of an Intel Xeon. ``tools/benchmarks/pseudo_labels.py`` prints forecast and measurement side by side.
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
#: Entries of a row of the encodings after query expansion, per neighbor: 2.2 for clustered features, 5.1 for
#: unstructured ones (k1 = 30, k2 = 6). Before it a row has about one per neighbor.
_EXPANDED = 3.3
#: Stored pairs of a row per neighbor, at most about; and bytes of a pair in the graph and its sorted copies.
_PAIRS, _PAIR_BYTES = 0.7, 40
#: Bytes of a row in DBSCAN: its list of neighbors is an array of its own.
_ROW_BYTES = 150
#: Bytes of a row in the graph of 'hnsw', 32 links on each side and more on the upper levels.
_GRAPH_BYTES = 280
#: Share of a large product's pace that the multiplications of a search reach, its choice of the largest included.
_EFFICIENCY = {'exact': 0.7, 'flat': 0.5, 'ivf': 0.15, 'hnsw': 0.03}
#: Rounds of k-means that faiss trains cells with; inner products of a walk through the graph per candidate kept.
_TRAINING_ROUNDS, _WALK = 10, 30
#: Seconds of one thread for a row of the Jaccard distance with k1 = 30, D = 1,536, and for a row of DBSCAN.
_JACCARD_ROW, _DBSCAN_ROW = 7.5e-5, 4e-6


@dataclass(frozen=True)
class ClusteringProblem:
    """One set of tracklets that is clustered at once.

    Attributes:
        num: Tracklets N.
        dimension: Width D of their descriptors.
        k1: Neighbors of the Jaccard distance; None where the density of the features decides.
        further_searches: Searches that follow the clustering, in searches of N x N x D.
    """

    num: int
    dimension: int
    k1: int | None = 30
    further_searches: float = 0.0

    @property
    def neighbors(self) -> int:
        """Neighbors that are searched, the tracklet itself included."""
        return min(self.num, NEIGHBORS if self.k1 is None else self.k1)

    @property
    def trials(self) -> tuple[int, ...]:
        """Every ``k1`` that is tried, the largest last."""
        if self.k1 is not None:
            return (min(self.k1, self.num),)
        return tuple(size for size in CANDIDATES if size <= max(self.num // 3, 2))


@dataclass(frozen=True)
class Forecast:
    """What clustering takes, the features as the model gave them not counted.

    Attributes:
        seconds: Duration.
        host_bytes: Main memory at the peak, as expected.
        device_bytes: GPU memory at the peak, as expected; 0 on a processor.
        least_host_bytes: The certain part of ``host_bytes``: arrays alive together, whatever the features.
        least_device_bytes: Likewise of ``device_bytes``.
    """

    seconds: float = 0.0
    host_bytes: int = 0
    device_bytes: int = 0
    least_host_bytes: int = 0
    least_device_bytes: int = 0


def problems_of(
    labeler: Callable, counts: Mapping[Modality, int], dimension: int
) -> list[ClusteringProblem] | None:
    """What a labeler, or the labeler that makes its clusters, is going to cluster.

    Args:
        labeler: A labeler; it tells by a method ``problems(counts, dimension)``, or has a ``clustering`` that does.
        counts: Tracklets of each modality.
        dimension: Width of static and dynamic features together.

    Returns:
        The sets, clustered one after another; None where nobody tells.
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
    """Forecast a round that clusters several sets in turn, the descriptors of all being held meanwhile.

    Args:
        problems: The sets.
        search: How neighbors are searched.
        rate: Operations per second of a large matrix product where the features lie, see :func:`product_rate`.
        device: ``'cpu'`` or ``'cuda'``, where the features lie.
        threads: Threads of the compiled kernels.

    Returns:
        The forecast; times on a GPU rest on assumptions that have not been measured.
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
    """Forecast neighbor search, Jaccard distance and DBSCAN of one set, its descriptors not counted.

    Args:
        problem: The set.
        search: How neighbors are searched.
        rate: See :func:`forecast_round`.
        device: Likewise.
        threads: Likewise.
        itemsize: Bytes of a number of the descriptors: 4, or 8 for float64.
    """
    if not problem.num:
        return Forecast()
    on_gpu = device == 'cuda'
    method = search.method_for(problem.num, problem.num, problem.dimension, on_gpu)
    normalized = problem.num * problem.dimension * itemsize
    certain, expected = _search_bytes(problem, method, on_gpu, itemsize)
    # the kernels read float32 rows and int32 neighbors on the host; on a processor these rows are there already
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
    """Operations per second of a matrix product on this machine, the best of a few that take some milliseconds each."""
    size = 8192 if device == 'cuda' else 768
    left, right = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        float((left @ right)[0, 0])  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def _search_bytes(problem: ClusteringProblem, method: str, on_gpu: bool, itemsize: int) -> tuple[int, int]:
    """Certain and expected bytes of a search where it runs; on a GPU without the normalized descriptors."""
    num, neighbors = problem.num, problem.neighbors
    rows = num * problem.dimension
    if method != 'exact':
        found = num * min(num, max(neighbors + 1, CANDIDATES_PER_NEIGHBOR * neighbors)) * (_FLOAT + _INDEX)
        certain = 2 * rows * _FLOAT + found + (num * _GRAPH_BYTES if method == 'hnsw' else num * _INDEX)
        # what was found is sorted, and a block of candidates scored
        return certain, certain + 2 * found + CHUNK_ELEMENTS * _FLOAT
    if not on_gpu:
        block = min(max(CHUNK_ELEMENTS, num), num**2) * itemsize
        certain = rows * itemsize + block + num * neighbors * (itemsize + _INDEX)
        # the next block while the last one is held; and the check for finite values, which comes before
        return certain, max(certain + block, rows * (itemsize + 2))
    coarse = itemsize == _FLOAT and num >= COARSE_FROM
    width, number = (neighbors + COARSE_MARGIN, _HALF) if coarse else (neighbors, itemsize)
    certain = num * width * (number + _INDEX) + (rows * _HALF if coarse else 0)
    return certain, certain + 4 * min(GPU_ELEMENTS, num * min(num, GPU_COLUMNS)) * number


def _kernel_bytes(problem: ClusteringProblem) -> int:
    """Expected bytes of the Jaccard distance and DBSCAN at their peak."""
    k1 = problem.trials[-1]
    sets = (k1 + k1 // 2 + 1) * _FLOAT
    encodings = min(_EXPANDED * k1, problem.num) * (_FLOAT + _FLOAT)
    pairs = min(_PAIRS * k1, problem.num)
    # encodings by rows and by columns; pairs in blocks and as a whole
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
    # of a row's time at D = 1,536 two thirds are inner products, one per entry; overlaps grow with the square of k1
    jaccard = sum(
        _JACCARD_ROW * (2 / 3 * k1 / 30 * problem.dimension / 1536 + 1 / 3 * (k1 / 30) ** 2)
        for k1 in problem.trials
    )
    return problem.num * (jaccard / threads + _DBSCAN_ROW * len(problem.trials))
