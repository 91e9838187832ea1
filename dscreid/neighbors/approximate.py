"""Approximate nearest neighbors with faiss (Douze et al., 2024), with exact scores for the candidates."""

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.neighbors.exact import exact_neighbors
from dscreid.neighbors.rescoring import best_candidates

#: Candidates per requested neighbor. Exact scores then correct the approximate order of faiss.
CANDIDATES_PER_NEIGHBOR = 2
#: Training vectors per cell below which faiss's k-means warns.
_FEWEST_PER_CELL = 39
_SEED = 1234


def faiss_neighbors(
    queries: Tensor, gallery: Tensor, k: int, self_first: bool, method: str, effort: int
) -> tuple[Tensor, Tensor]:
    """Find approximately the ``k`` gallery rows with the largest inner product for each query.

    Results are reproducible: cells are trained from a fixed seed, and graphs are built by a single thread.

    Args:
        queries: Float (N, D).
        gallery: Float (M, D), same dtype and device.
        k: Number of neighbors, at most M.
        self_first: See :func:`exact_neighbors`.
        method: ``'flat'`` computes all inner products, ``'ivf'`` those in the cells nearest to the query, and
            ``'hnsw'`` walks a graph of neighbors.
        effort: Number of cells visited (``'ivf'``) or candidates kept during the walk (``'hnsw'``). Larger
            values find more neighbors.

    Returns:
        ``similarity`` (N, k), exact inner products in descending order, and ``index`` int64 (N, k). Ties are
        broken by the smaller index.

    Raises:
        ConfigError: If faiss is not installed.
    """
    wanted = min(len(gallery), max(k + 1, CANDIDATES_PER_NEIGHBOR * k))
    index = _built(_as_numpy(gallery), method, max(effort, wanted) if method == 'hnsw' else effort)
    candidates = torch.from_numpy(index.search(_as_numpy(queries), wanted)[1]).to(queries.device)
    own = torch.arange(len(queries), device=queries.device) if self_first else None
    similarity, found = best_candidates(queries, gallery, candidates, k, own)
    short = (found < 0).any(dim=1).nonzero().squeeze(1)
    if len(short):  # the visited cells had fewer members than the requested neighbors
        candidates = exact_neighbors(queries[short], gallery, wanted)[1]
        own = None if own is None else own[short]
        similarity[short], found[short] = best_candidates(queries[short], gallery, candidates, k, own)
    return similarity, found


def measured_recall(queries: Tensor, gallery: Tensor, index: Tensor, samples: int = 256) -> float:
    """Measure the share of true neighbors that a search found, over evenly spaced queries.

    Args:
        queries: Float (N, D).
        gallery: Float (M, D).
        index: int64 (N, k), the result of the search.
        samples: Number of queries to search exactly.

    Returns:
        Recall at k, in [0, 1].
    """
    rows = torch.linspace(0, len(queries) - 1, min(samples, len(queries)), device=queries.device).long()
    truth = exact_neighbors(queries[rows], gallery, index.shape[1])[1]
    return float((index[rows][:, :, None] == truth[:, None, :]).any(dim=2).float().mean())


def num_cells(num: int) -> int:
    """Number of ``'ivf'`` cells for a gallery of ``num`` rows."""
    return max(1, min(int(4 * num**0.5), num // _FEWEST_PER_CELL))


def has_faiss() -> bool:
    """Check whether faiss can be imported."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        return False
    return True


def _built(gallery: np.ndarray, method: str, effort: int):
    """Build a faiss index over the rows of float32 (M, D)."""
    if not has_faiss():
        raise ConfigError(
            f"neighbor search '{method}' needs faiss: pip install faiss-cpu, or use method='exact'"
        )
    import faiss

    num, width = gallery.shape
    if method == 'flat':
        index = faiss.IndexFlatIP(width)
    elif method == 'hnsw':
        index = faiss.IndexHNSWFlat(width, 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = 80, effort
    else:
        cells = num_cells(num)
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.nprobe = _SEED, min(cells, effort)
        index.train(gallery)
    _add(index, gallery, threads=1 if method == 'hnsw' else None)
    return index


def _add(index, gallery: np.ndarray, threads: int | None) -> None:
    """Add the gallery to an index with the given number of threads.

    With several threads, a graph would depend on their timing.
    """
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads or before)
    try:
        index.add(gallery)
    finally:
        faiss.omp_set_num_threads(before)


def _as_numpy(features: Tensor) -> np.ndarray:
    return np.ascontiguousarray(features.detach().cpu().float().numpy())
