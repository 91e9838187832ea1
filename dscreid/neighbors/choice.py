"""Choice of the neighbor search: from the config, otherwise from the problem size and the device."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.neighbors.approximate import faiss_neighbors, has_faiss, measured_recall
from dscreid.neighbors.exact import coarse_type, exact_neighbors

METHODS = ('auto', 'exact', 'flat', 'ivf', 'hnsw')
#: Number of multiply-adds up to which ``'auto'`` uses the exact search on a CPU: about 15 minutes on two cores at the
#: speed in docs/performance.md, or 260 thousand tracklets of 1,536 dimensions.
_EXACT_LIMIT = 1e14


@dataclass(frozen=True)
class NeighborSearch:
    """Method and parameters of the neighbor search.

    Attributes:
        method: ``'exact'`` uses blocked matrix products; on a GPU it finds candidates in bfloat16 and scores
            them in float32. ``'flat'`` is the exhaustive search of faiss. ``'ivf'`` and ``'hnsw'`` are
            approximate and log their recall on 256 queries. ``'auto'`` is exact on a GPU, and on a CPU up to
            260 thousand tracklets of 1,536 dimensions; beyond that it uses ``'ivf'``.
        effort: Number of cells visited (``'ivf'``) or candidates kept (``'hnsw'``). Larger values find more
            neighbors and take longer.
        lowest_recall: A measured recall below this value triggers a warning.

    Raises:
        ConfigError: If a value is out of range.
    """

    method: str = 'auto'
    effort: int = 64
    lowest_recall: float = 0.9

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.method not in METHODS:
            raise ConfigError(
                f'neighbor search: method must be one of {", ".join(METHODS)}, got {self.method!r}'
            )
        if self.effort < 1 or not 0 <= self.lowest_recall <= 1:
            raise ConfigError(
                f'neighbor search: effort must be at least 1 and lowest_recall in [0, 1], got {self}'
            )

    def __call__(
        self, queries: Tensor, gallery: Tensor, k: int, self_first: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Find the ``k`` gallery rows with the largest inner product for each query; see :func:`exact_neighbors`."""
        method = self.method_for(len(queries), len(gallery), gallery.shape[1], queries.is_cuda)
        if method == 'exact':
            return exact_neighbors(queries, gallery, k, self_first, coarse_type(gallery))
        similarity, index = faiss_neighbors(queries, gallery, k, self_first, method, self.effort)
        if method != 'flat' and len(queries):
            self._judge(measured_recall(queries, gallery, index), method, k)
        return similarity, index

    def method_for(self, num_queries: int, num_gallery: int, dimension: int, on_gpu: bool) -> str:
        """Return the method to use; ``'auto'`` is resolved from the problem size and the device."""
        if min(num_queries, num_gallery) == 0:
            return 'exact'
        if self.method != 'auto':
            return self.method
        if on_gpu or num_queries * num_gallery * dimension <= _EXACT_LIMIT:
            return 'exact'
        if not has_faiss():
            _say_once('faiss is not installed: neighbors are searched exactly, which will take long')
            return 'exact'
        return 'ivf'

    def _judge(self, recall: float, method: str, k: int) -> None:
        message = (
            f'neighbor search {method}: recall@{k} {recall:.3f} on sampled queries (effort {self.effort})'
        )
        print_log(message, logger='current')
        if recall < self.lowest_recall:
            warnings.warn(f'{message}, below {self.lowest_recall}: raise effort', stacklevel=3)


_SEARCH: ContextVar[NeighborSearch | None] = ContextVar('neighbor_search', default=None)


def current_search() -> NeighborSearch:
    """Return the active search: the one set by the innermost :func:`search_with`, otherwise ``'auto'``."""
    return _SEARCH.get() or NeighborSearch()


@contextmanager
def search_with(search: NeighborSearch) -> Iterator[None]:
    """Use the given search for all neighbor queries within the ``with`` block."""
    token = _SEARCH.set(search)
    try:
        yield
    finally:
        _SEARCH.reset(token)


@lru_cache
def _say_once(message: str) -> None:
    print_log(message, logger='current')
