"""Retrieval measures for person re-identification: CMC, mAP, mINP and ranked lists."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import EvaluationError
from dscreid.evaluation.counting import count_ahead, count_persons_ahead
from dscreid.evaluation.scores import Features, InnerProduct, Scores
from dscreid.neighbors import largest_per_row
from dscreid.utils.chunks import row_chunks

Ids = Tensor | np.ndarray | Sequence[int]


class Identities(NamedTuple):
    """Facts about Nq queries and Ng gallery tracklets; see :func:`rank_queries`."""

    query_pids: Ids
    query_cameras: Ids
    gallery_pids: Ids
    gallery_cameras: Ids
    drop_same_camera: bool = False
    tracklets: tuple[Ids, Ids] | None = None
    same_place: tuple[tuple[int, int], ...] = ()


class QueryRanks(NamedTuple):
    """Ranks of the true matches of each query, as NumPy arrays of shape (Nq,)."""

    matches: np.ndarray  #: int64, number of true matches that are not left out; queries with 0 are invalid
    #: int64, rank of the first match, from 1, among tracklets or, if persons are counted, among persons; 0 without one
    first: np.ndarray
    average_precision: np.ndarray  #: float64 in (0, 1], mean precision at the matches; NaN without a match
    #: float64 in (0, 1], number of matches / rank of the last match (INP of Ye et al., TPAMI 2021); NaN without a match
    inverse_penalty: np.ndarray


class RankLists(NamedTuple):
    """Best-ranked gallery tracklets of each query, as NumPy arrays of shape (Nq, topk), best first."""

    #: int64, gallery rows; -1 beyond the end of a gallery shorter than ``topk``
    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index
    correct: np.ndarray  #: bool, whether the gallery tracklet shows the query's person
    similarity: np.ndarray  #: float32, inner product with the query; NaN where ``index`` is -1


def rank_metrics(
    query_features: Features,
    query_pids: Ids,
    query_cameras: Ids,
    gallery_features: Features,
    gallery_pids: Ids,
    gallery_cameras: Ids,
    ranks: Sequence[int] = (1, 5, 10, 20),
    drop_same_camera: bool = False,
) -> dict[str, float | int]:
    """Rank the gallery for each query by inner product and compute CMC, mAP and mINP.

    The features are used as given: for a cosine ranking, normalize the rows or their halves. Equal similarities keep
    the order of the gallery. The computation runs on the device of the features, in blocks of rows.

    Args:
        query_features: Float (Nq, D).
        query_pids: Integer (Nq,), person ids; negative if unknown. Unknown persons never match.
        query_cameras: Integer (Nq,), camera ids.
        gallery_features: Float (Ng, D).
        gallery_pids: Integer (Ng,), person ids; negative if unknown.
        gallery_cameras: Integer (Ng,), camera ids.
        ranks: Ranks of the CMC curve to report; beyond the size of the gallery, the curve keeps its last value.
        drop_same_camera: Whether to leave out gallery tracklets of the query's person *and* camera.

    Returns ``Rank-k`` (CMC), ``mAP`` and ``mINP`` (Ye et al., TPAMI 2021) in [0, 1] over the valid queries, which are
    those with a true match that is not left out, and their number ``valid_queries``.

    Raises EvaluationError if no query has a true match; this is also a ValueError; ValueError if shapes do not fit or
    features are not finite.

    Example:
        The true match is second among three tracklets:

        >>> gallery = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> rank_metrics(gallery[:1], [7], [0], gallery, [3, 7, 5], [1, 1, 1], ranks=(1, 5))
        {'mAP': 0.5, 'mINP': 0.5, 'Rank-1': 0.0, 'Rank-5': 1.0, 'valid_queries': 1}
    """
    ranks = check_ranks(ranks)
    scores = InnerProduct(query_features, gallery_features)
    sides = (query_pids, query_cameras, gallery_pids, gallery_cameras)
    return summarize(rank_queries(scores, *sides, drop_same_camera), ranks)


def rank_queries(
    scores: Scores,
    query_pids: Ids,
    query_cameras: Ids,
    gallery_pids: Ids,
    gallery_cameras: Ids,
    drop_same_camera: bool = False,
    tracklets: tuple[Ids, Ids] | None = None,
    same_place: tuple[tuple[int, int], ...] = (),
    count_persons: bool = False,
) -> QueryRanks:
    """Find the ranks of the true matches of each query if its gallery is sorted by descending score.

    Equal scores keep the order of the gallery. Other arguments are those of :func:`rank_metrics`. Each query leaves out
    its own tracklet in the gallery if ``tracklets``, integer (Nq,) and (Ng,), gives the tracklet ids, and, for a pair
    of cameras in ``same_place``, all gallery tracklets of the second camera if it is of the first. With
    ``count_persons``, only the best-ranked tracklet of each person counts for the rank of the first match, and so for
    the CMC curve; unknown persons count as one. Raises EvaluationError if no query has a true match.
    """
    shape = (2, scores.shape[0])
    result = QueryRanks(*np.zeros(shape, np.int64), *np.full(shape, np.nan))
    ids = Identities(query_pids, query_cameras, gallery_pids, gallery_cameras, drop_same_camera, tracklets, same_place)
    persons = torch.as_tensor(gallery_pids, device=scores.device).unique(return_inverse=True)[1]
    for rows, block, row, column in _blocks(scores, ids):
        ahead = count_ahead(block, row, column)
        _enter(result, rows.start + row.cpu().numpy(), 1 + ahead.cpu().numpy())
        if count_persons and len(row):
            first = _first_pairs(row, ahead)
            before = count_persons_ahead(block, row[first], column[first], persons)
            result.first[rows.start + row[first].cpu().numpy()] = 1 + before.cpu().numpy()
    if not result.matches.any():
        reason = ' once tracklets of the same person and camera are left out' if drop_same_camera else ''
        raise EvaluationError(
            f'none of the {scores.shape[0]} queries has a true match among the {scores.shape[1]} gallery '
            f'tracklets{reason}; check the person ids, cameras and the choice of query and gallery'
        )
    return result


def _first_pairs(row: Tensor, ahead: Tensor) -> Tensor:
    """Find the pair with the fewest tracklets ``ahead`` for each query of ``row``, int64 (P,) and ascending."""
    best = torch.full((int(row.max()) + 1,), torch.iinfo(ahead.dtype).max, dtype=ahead.dtype, device=row.device)
    best.scatter_reduce_(0, row, ahead, 'amin')
    return torch.nonzero(ahead == best[row])[:, 0]


def count_matches(identities: Identities) -> np.ndarray:
    """Count the true matches of each query that are not left out, int64 (Nq,), without ranking them."""
    row, _, left_out = _pairs(identities)
    return torch.bincount(row[~left_out], minlength=len(identities.query_pids)).numpy()


def summarize(queries: QueryRanks, ranks: Sequence[int] = (1, 5, 10, 20)) -> dict[str, float | int]:
    """Average the measures of :func:`rank_metrics` over the queries that have a true match (at least one)."""
    valid = queries.matches > 0
    means = {name: float(v[valid].mean()) for name, v in query_measures(queries, ranks).items()}
    return means | {'valid_queries': int(valid.sum())}


def query_measures(queries: QueryRanks, ranks: Sequence[int]) -> dict[str, np.ndarray]:
    """Compute ``mAP``, ``mINP`` and each ``Rank-k`` of single queries, float64 (Nq,), meaningful only with a match."""
    hits = {f'Rank-{rank}': (queries.first <= rank).astype(float) for rank in ranks}
    return {'mAP': queries.average_precision, 'mINP': queries.inverse_penalty} | hits


def check_ranks(ranks: Sequence[int]) -> tuple[int, ...]:
    """Return the ranks of a CMC curve as a tuple; raise ValueError if there are none or one is below 1."""
    if not ranks or min(ranks) < 1:
        raise ValueError(f'ranks must be positive and at least one, got {tuple(ranks)}')
    return tuple(ranks)


def rank_lists(
    query_features: Features,
    query_pids: Ids,
    query_cameras: Ids,
    gallery_features: Features,
    gallery_pids: Ids,
    gallery_cameras: Ids,
    topk: int = 6,
    drop_same_camera: bool = False,
    tracklets: tuple[Ids, Ids] | None = None,
    same_place: tuple[tuple[int, int], ...] = (),
) -> RankLists:
    """Find the first ``topk`` gallery tracklets of each query, ranked and filtered as in :func:`rank_metrics`.

    The other arguments are those of :func:`rank_metrics` and :func:`rank_queries`. The lists include queries without a
    true match.
    """
    if topk < 1:
        raise ValueError(f'topk must be at least 1, got {topk}')
    scores = InnerProduct(query_features, gallery_features)
    shape = (scores.shape[0], topk)
    lists = RankLists(np.full(shape, -1), np.zeros(shape, bool), np.full(shape, np.nan, np.float32))
    width = min(topk, scores.shape[1])
    ids = Identities(query_pids, query_cameras, gallery_pids, gallery_cameras, drop_same_camera, tracklets, same_place)
    for rows, block, row, column in _blocks(scores, ids):
        same = torch.zeros_like(block, dtype=torch.bool)
        same[row, column] = True
        similarity, index = largest_per_row(block, width)
        kept = torch.isfinite(similarity).cpu().numpy()
        for array, part in zip(lists, (index, same.gather(1, index), similarity), strict=True):
            array[rows, :width][kept] = part.cpu().numpy()[kept]
    return lists


def _pairs(identities: Identities, device: torch.device | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Find all pairs of a query and a gallery tracklet of the same known person.

    Returns for P pairs: query, int64, ascending; gallery row, int64, ascending for each query; whether the tracklet is
    left out, bool.
    """

    def integers(values: Ids) -> Tensor:
        return torch.as_tensor(values, device=device).long()

    pids = integers(identities.query_pids)
    sorted_pids, by_person = integers(identities.gallery_pids).sort(stable=True)
    begin = torch.searchsorted(sorted_pids, pids)
    matches = torch.searchsorted(sorted_pids, pids, right=True) - begin
    matches = matches.where(pids >= 0, 0)  # unknown persons do not match each other
    row = torch.arange(len(matches), device=device).repeat_interleave(matches)
    shift = begin - (matches.cumsum(0) - matches)
    column = by_person[torch.arange(len(row), device=device) + shift[row]]
    left_out = torch.zeros(len(row), dtype=torch.bool, device=device)
    if identities.drop_same_camera:
        left_out |= integers(identities.query_cameras)[row] == integers(identities.gallery_cameras)[column]
    for first, second in identities.same_place:
        own, others = integers(identities.query_cameras)[row], integers(identities.gallery_cameras)[column]
        left_out |= (own == first) & (others == second)
    if identities.tracklets is not None:
        own, others = map(integers, identities.tracklets)
        left_out |= own[row] == others[column]
    return row, column, left_out


def _blocks(scores: Scores, identities: Identities) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Compute the scores of blocks of queries and find their true matches.

    Yields the rows of the block; float (n, Ng), -inf for tracklets that are left out; for P matches, the query within
    the block, int64, ascending, and the gallery row, int64.
    """
    for num, name, pids, cameras in zip(
        scores.shape, ('query', 'gallery'), identities[:4:2], identities[1:4:2], strict=True
    ):
        if not num == len(pids) == len(cameras):
            raise ValueError(f'{name} features, pids and cameras differ in length: {num}, {len(pids)}, {len(cameras)}')
    row, column, left_out = _pairs(identities, scores.device)
    own, others = (torch.as_tensor(side, device=scores.device) for side in identities[1:4:2])
    for rows in row_chunks(*scores.shape):
        block = scores[rows]
        for first, second in identities.same_place:
            block.masked_fill_((own[rows] == first)[:, None] & (others == second), -torch.inf)
        inside = slice(*torch.searchsorted(row, torch.tensor([rows.start, rows.stop], device=row.device)).tolist())
        query, match, out = row[inside] - rows.start, column[inside], left_out[inside]
        block[query[out], match[out]] = -torch.inf
        yield rows, block, query[~out], match[~out]


def _enter(result: QueryRanks, query: np.ndarray, rank: np.ndarray) -> None:
    if len(query) == 0:
        return
    rank = rank[np.lexsort((rank, query))]
    valid, start, total = np.unique(query, return_index=True, return_counts=True)
    hit = np.arange(len(query)) - np.repeat(start, total) + 1  # number of the match within its query
    result.matches[valid] = total
    result.first[valid] = rank[start]
    result.average_precision[valid] = np.add.reduceat(hit / rank, start) / total
    result.inverse_penalty[valid] = total / rank[start + total - 1]
