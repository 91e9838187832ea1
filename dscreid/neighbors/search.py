"""The neighbor search of a config: exact, or approximate with an index of faiss (Douze et al., 2024)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.neighbors.exact import best_candidates, exact_neighbors
from dscreid.neighbors.shares import shared_exact_neighbors

#: Candidates per requested neighbor. Exact scores then correct the approximate order of faiss.
CANDIDATES_PER_NEIGHBOR = 2


@dataclass(frozen=True)
class NeighborSearch:
    """Settings of the neighbor search.

    Results are reproducible: faiss trains from a fixed seed, and graphs are built by a single thread.
    """

    index: str | None = None  #: faiss index-factory string, such as ``'HNSW32'`` (CPU); None searches exactly
    parameters: str = ''  #: search parameters as faiss writes them, such as ``'nprobe=64'`` or ``'efSearch=128'``
    smallest: int = 10_000  #: smaller galleries are searched exactly
    lowest_recall: float = 0.9  #: a measured recall below this value triggers a warning
    shared: bool = True  #: whether all processes of a run share exact searches, which sends them the features

    def __post_init__(self) -> None:
        if not isinstance(self.index, str | None) or not isinstance(self.parameters, str):
            raise ConfigError(f'neighbor search: index must be a faiss string or None, parameters one too, got {self}')
        if self.parameters and self.index is None:
            raise ConfigError('neighbor search: parameters need an index')
        if not isinstance(self.shared, bool):
            raise ConfigError(f'neighbor search: shared must be True or False, got {self.shared!r}')
        if self.smallest < 0 or not 0 <= self.lowest_recall <= 1:
            raise ConfigError(f'neighbor search: smallest must be at least 0 and lowest_recall in [0, 1], got {self}')

    def __call__(self, queries: Tensor, gallery: Tensor, k: int, self_first: bool = False) -> tuple[Tensor, Tensor]:
        """Find the ``k`` gallery rows with the largest inner product for each query; see :func:`exact_neighbors`."""
        if not len(queries) or self.is_exact(len(gallery)):
            return (shared_exact_neighbors if self.shared else exact_neighbors)(queries, gallery, k, self_first)
        similarity, found = self._approximate(queries, gallery, k, self_first)
        recall = measured_recall(queries, gallery, found)
        message = f'neighbor search {self.index}: recall@{k} {recall:.3f} on sampled queries'
        print_log(message, logger='current')
        if recall < self.lowest_recall:
            warnings.warn(f'{message}, below {self.lowest_recall}; increase nprobe or efSearch', stacklevel=2)
        return similarity, found

    def is_exact(self, num_gallery: int) -> bool:
        """Whether a gallery of this size is searched exactly."""
        return self.index is None or num_gallery < max(self.smallest, 1)

    def _approximate(self, queries: Tensor, gallery: Tensor, k: int, self_first: bool) -> tuple[Tensor, Tensor]:
        wanted = min(len(gallery), max(k + 1, CANDIDATES_PER_NEIGHBOR * k))
        index = self._built(_as_numpy(gallery))
        candidates = torch.from_numpy(index.search(_as_numpy(queries), wanted)[1]).to(queries.device)
        own = torch.arange(len(queries), device=queries.device) if self_first else None
        similarity, found = best_candidates(queries, gallery, candidates, k, own)
        short = (found < 0).any(dim=1).nonzero().squeeze(1)
        if len(short):  # the visited cells had fewer members than the requested neighbors
            candidates = exact_neighbors(queries[short], gallery, wanted)[1]
            own = None if own is None else own[short]
            similarity[short], found[short] = best_candidates(queries[short], gallery, candidates, k, own)
        return similarity, found

    def _built(self, gallery: np.ndarray) -> Any:
        try:
            import faiss
        except ImportError:
            raise ConfigError(f"neighbor search '{self.index}' needs faiss: pip install faiss-cpu") from None
        threads = faiss.omp_get_max_threads()
        try:
            index = faiss.index_factory(gallery.shape[1], str(self.index), faiss.METRIC_INNER_PRODUCT)
            index.train(gallery)
            # With several threads, a graph would depend on their timing.
            faiss.omp_set_num_threads(1 if 'HNSW' in str(self.index) else threads)
            index.add(gallery)
            if self.parameters:
                faiss.ParameterSpace().set_index_parameters(index, self.parameters)  # type: ignore[arg-type]
        except RuntimeError as error:
            what = f"index='{self.index}', parameters='{self.parameters}' for {len(gallery)} rows of {gallery.shape[1]}"
            reason = ' '.join(str(error).split())
            raise ConfigError(f'neighbor search: faiss cannot use {what} dimensions: {reason}') from error
        finally:
            faiss.omp_set_num_threads(threads)
        return index


def measured_recall(queries: Tensor, gallery: Tensor, index: Tensor, samples: int = 256) -> float:
    """Measure the share in [0, 1] of true neighbors in ``index`` int64 (N, k), over evenly spaced queries."""
    rows = torch.linspace(0, len(queries) - 1, min(samples, len(queries)), device=queries.device).long()
    truth = exact_neighbors(queries[rows], gallery, index.shape[1])[1]
    return float((index[rows][:, :, None] == truth[:, None, :]).any(dim=2).float().mean())


def _as_numpy(features: Tensor) -> np.ndarray:
    return np.ascontiguousarray(features.detach().cpu().float().numpy())


_SEARCH: ContextVar[NeighborSearch] = ContextVar('neighbor_search', default=NeighborSearch())  # noqa: B039


def current_search() -> NeighborSearch:
    """Return the search set by the innermost :func:`search_with`, otherwise the exact one."""
    return _SEARCH.get()


@contextmanager
def search_with(search: NeighborSearch) -> Iterator[None]:
    """Use the given search for all neighbor queries within the ``with`` block."""
    token = _SEARCH.set(search)
    try:
        yield
    finally:
        _SEARCH.reset(token)
