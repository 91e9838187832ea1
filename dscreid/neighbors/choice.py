"""Which search is used: chosen by the config, else from the size of the problem and the device."""

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
#: Multiply-adds from which ``'auto'`` leaves the exact search on a processor: about a quarter of an hour of two cores
#: at the pace of docs/performance.md, 260 thousand tracklets of 1,536 dimensions.
_EXACT_LIMIT = 1e14


@dataclass(frozen=True)
class NeighborSearch:
    """How neighbours are searched.

    Attributes:
        method: ``'exact'`` blocked matrix products, on a GPU with candidates in bfloat16 that are then scored in
            float32; ``'flat'`` faiss's exhaustive search; ``'ivf'`` and ``'hnsw'`` approximate, their recall on 256
            queries goes to the log; ``'auto'`` exact on a GPU and up to 260 thousand tracklets of 1,536 dimensions on a
            processor, ``'ivf'`` beyond.
        effort: Cells visited ('ivf') or candidates kept ('hnsw'); more find more and take longer.
        lowest_recall: A measured recall below it is a warning.

    Raises:
        ConfigError: A value is out of range.
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
        """The ``k`` gallery rows of largest inner product with each query; see :func:`exact_neighbors`."""
        method = self.method_for(len(queries), len(gallery), gallery.shape[1], queries.is_cuda)
        if method == 'exact':
            return exact_neighbors(queries, gallery, k, self_first, coarse_type(gallery))
        similarity, index = faiss_neighbors(queries, gallery, k, self_first, method, self.effort)
        if method != 'flat' and len(queries):
            self._judge(measured_recall(queries, gallery, index), method, k)
        return similarity, index

    def method_for(self, num_queries: int, num_gallery: int, dimension: int, on_gpu: bool) -> str:
        """The method, chosen from the size and the device where it is open."""
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
    """The search in use here: that of the innermost :func:`search_with`, else ``'auto'``."""
    return _SEARCH.get() or NeighborSearch()


@contextmanager
def search_with(search: NeighborSearch) -> Iterator[None]:
    """Use a search for all neighbours within a block, whoever asks for them."""
    token = _SEARCH.set(search)
    try:
        yield
    finally:
        _SEARCH.reset(token)


@lru_cache
def _say_once(message: str) -> None:
    print_log(message, logger='current')
