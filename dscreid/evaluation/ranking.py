"""Retrieval measures of person re-identification: CMC, mAP and mINP, and the ranked lists behind them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dscreid.pseudo_labels.neighbors import as_feature_matrix
from dscreid.utils.chunks import row_chunks

Features = Tensor | np.ndarray
Ids = Tensor | np.ndarray | Sequence[int]


class RankLists(NamedTuple):
    """First ranks of some queries, best first; numpy arrays of shape (Nq, topk).

    Attributes:
        index: int64, gallery rows; -1 where a query's gallery is shorter than ``topk``.
        correct: bool, whether that gallery tracklet shows the query's person.
        similarity: float32, inner product with the query; NaN where ``index`` is -1.
    """

    index: np.ndarray
    correct: np.ndarray
    similarity: np.ndarray


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
    """Rank every gallery for its query by inner product and measure where the true matches stand.

    The inner product is taken of the features as given: normalise the rows, or their halves, for cosine
    ranking; VLD ranks its raw features. Equal similarities keep the order of the gallery. Row-chunked, on the
    device of the features.

    Args:
        query_features: Float (Nq, D).
        query_pids: Integer (Nq,), person ids.
        query_cameras: Integer (Nq,).
        gallery_features: Float (Ng, D).
        gallery_pids: Integer (Ng,).
        gallery_cameras: Integer (Ng,).
        ranks: Ranks of the CMC curve to report; beyond the gallery's size they equal its last value.
        drop_same_camera: For each query leave out gallery tracklets of the same person *and* the same camera.

    Returns:
        In [0, 1]: ``Rank-k`` share of queries with a match among the first k (CMC), ``mAP`` mean over queries
        of the mean precision at their matches, ``mINP`` mean of (number of matches / rank of the last match)
        (Ye et al., TPAMI 2021). ``valid_queries`` int: queries with a true match left; only these are
        counted.

    Raises:
        ValueError: If shapes do not fit, features are not finite, or no query has a true match.
    """
    if not ranks or min(ranks) < 1:
        raise ValueError(f'ranks must be positive and at least one, got {tuple(ranks)}')
    query, gallery = _paired(
        _Side('query', query_features, query_pids, query_cameras),
        _Side('gallery', gallery_features, gallery_pids, gallery_cameras),
    )
    measured = [_measure(block.matches) for block in _ranked(query, gallery, drop_same_camera)]
    first, precision, penalty = np.concatenate([np.empty((3, 0)), *measured], axis=1)
    if len(first) == 0:
        raise ValueError(_no_match_message(query, gallery, drop_same_camera))
    result = {'mAP': float(precision.mean()), 'mINP': float(penalty.mean())}
    result |= {f'Rank-{rank}': float((first <= rank).mean()) for rank in ranks}
    return {**result, 'valid_queries': len(first)}


def rank_lists(
    query_features: Features,
    query_pids: Ids,
    query_cameras: Ids,
    gallery_features: Features,
    gallery_pids: Ids,
    gallery_cameras: Ids,
    topk: int = 6,
    drop_same_camera: bool = False,
) -> RankLists:
    """First ``topk`` gallery tracklets of each query, ranked and filtered as in :func:`rank_metrics`.

    Args:
        query_features: Float (Nq, D).
        query_pids: Integer (Nq,).
        query_cameras: Integer (Nq,).
        gallery_features: Float (Ng, D).
        gallery_pids: Integer (Ng,).
        gallery_cameras: Integer (Ng,).
        topk: Ranks wanted, at least 1.
        drop_same_camera: As in :func:`rank_metrics`.

    Returns:
        Lists of all queries, those without a true match included.

    Raises:
        ValueError: If shapes do not fit or features are not finite.
    """
    if topk < 1:
        raise ValueError(f'topk must be at least 1, got {topk}')
    query, gallery = _paired(
        _Side('query', query_features, query_pids, query_cameras),
        _Side('gallery', gallery_features, gallery_pids, gallery_cameras),
    )
    shape = (len(query.pids), topk)
    lists = RankLists(np.full(shape, -1), np.zeros(shape, bool), np.full(shape, np.nan, np.float32))
    for block in _ranked(query, gallery, drop_same_camera):
        kept = torch.isfinite(block.similarity[:, :topk])
        width = kept.shape[1]
        parts = (block.order, block.matches, block.similarity)
        for array, part in zip(lists, parts, strict=True):
            blank = array[block.rows, :width]
            array[block.rows, :width] = np.where(kept.cpu(), part[:, :topk].cpu(), blank)
    return lists


class _Side:
    """Features, person ids and cameras of the queries or of the gallery, checked and on one device."""

    def __init__(self, name: str, features: Features, pids: Ids, cameras: Ids) -> None:
        self.features = as_feature_matrix(features, f'{name}_features')
        device = self.features.device
        self.pids = torch.as_tensor(pids, device=device)
        self.cameras = torch.as_tensor(cameras, device=device)
        if not len(self.features) == len(self.pids) == len(self.cameras):
            raise ValueError(
                f'{name} features, pids and cameras differ in length: '
                f'{len(self.features)}, {len(self.pids)}, {len(self.cameras)}'
            )


def _paired(query: _Side, gallery: _Side) -> tuple[_Side, _Side]:
    """Check that the two sides can be compared."""
    if query.features.shape[1] != gallery.features.shape[1]:
        raise ValueError(
            f'query features have {query.features.shape[1]} dimensions but gallery features have '
            f'{gallery.features.shape[1]}; both must come from the same model'
        )
    if query.features.dtype != gallery.features.dtype:
        query.features, gallery.features = query.features.float(), gallery.features.float()
    return query, gallery


class _Block(NamedTuple):
    """A block of queries with the gallery in ranked order; entries left out come last."""

    rows: slice
    order: Tensor  # int64 (n, Ng), gallery rows
    matches: Tensor  # bool (n, Ng), true matches that are not left out
    similarity: Tensor  # float (n, Ng), descending; -inf where left out


def _ranked(query: _Side, gallery: _Side, drop_same_camera: bool) -> Iterator[_Block]:
    """Rank the gallery for all queries, block by block."""
    for rows in row_chunks(len(query.pids), len(gallery.pids)):
        similarity = query.features[rows] @ gallery.features.T
        matches = query.pids[rows, None] == gallery.pids[None]
        if drop_same_camera:
            dropped = matches & (query.cameras[rows, None] == gallery.cameras[None])
            similarity = similarity.masked_fill(dropped, -torch.inf)
            matches &= ~dropped
        similarity, order = similarity.sort(dim=1, descending=True, stable=True)
        yield _Block(rows, order, matches.gather(1, order), similarity)


def _measure(matches: Tensor) -> np.ndarray:
    """Measures of the queries of a block that have a match, from bool (n, Ng) in ranked order.

    Returns:
        float64 (3, valid): rank of the first match, average precision, and number of matches / rank of the
        last.
    """
    row, place = (part.cpu().numpy() for part in matches.nonzero(as_tuple=True))
    if len(row) == 0:
        return np.empty((3, 0))
    _, start, total = np.unique(row, return_index=True, return_counts=True)
    rank = place + 1
    hit = np.arange(len(row)) - np.repeat(start, total) + 1  # this match is its query's hit-th
    precision = np.add.reduceat(hit / rank, start) / total
    return np.stack([rank[start], precision, total / rank[start + total - 1]])


def _no_match_message(query: _Side, gallery: _Side, drop_same_camera: bool) -> str:
    """Say why nothing can be measured."""
    reason = ' once tracklets of the same person and camera are left out' if drop_same_camera else ''
    return (
        f'none of the {len(query.pids)} queries has a true match among the {len(gallery.pids)} gallery '
        f'tracklets{reason}; check the person ids, cameras and the choice of query and gallery'
    )
