"""Scores of queries against gallery tracklets: inner products, query expansion and k-reciprocal re-ranking."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import ConfigError, EvaluationError
from dscreid.neighbors.jaccard import jaccard_of_neighbors, nearest_tracklets
from dscreid.neighbors.knn import Features, as_feature_matrix, nearest_by_inner_product, normalized_rows

# The largest float32 below 1: all pairs whose encodings share an entry are stored; the distance of all others is 1.
_SHARING = float(np.nextafter(np.float32(1), np.float32(0)))


class Scores(Protocol):
    """Scores of Nq queries against Ng gallery tracklets, in blocks on ``device``; higher means nearer."""

    shape: tuple[int, int]
    device: torch.device

    def __getitem__(self, rows: slice) -> Tensor:
        """Scores of a block of queries, float (n, Ng); the caller may modify the tensor."""


class InnerProduct:
    """Inner products of features, float (Nq, D) and (Ng, D), as given, without normalization (torch or NumPy).

    Raises EvaluationError if features are so large that their inner products overflow; ValueError if shapes do not fit
    or features are not finite.
    """

    def __init__(self, query_features: Features, gallery_features: Features) -> None:
        self.query, self.gallery = paired_features(query_features, gallery_features)
        self.shape = (len(self.query), len(self.gallery))
        self.device = self.query.device

    def __getitem__(self, rows: slice) -> Tensor:
        return self.query[rows] @ self.gallery.T


def paired_features(query_features: Features, gallery_features: Features) -> tuple[Tensor, Tensor]:
    """Check that two feature matrices can be compared, and convert them to the same dtype.

    Both become float64 if both are float64, and float32 otherwise. Raises as :class:`InnerProduct`.
    """
    query = as_feature_matrix(query_features, 'query_features')
    gallery = as_feature_matrix(gallery_features, 'gallery_features')
    if query.shape[1] != gallery.shape[1]:
        sizes = f'{query.shape[1]} and {gallery.shape[1]}'
        raise ValueError(f'query and gallery features differ in width ({sizes}); use features of one model')
    if query.dtype != gallery.dtype:
        query, gallery = query.float(), gallery.float()
    if query.numel() and gallery.numel():
        largest = query.abs().max().double() * gallery.abs().max().double() * query.shape[1]
        if largest > torch.finfo(query.dtype).max:
            raise EvaluationError('features are so large that inner products overflow; normalize their rows')
    return query, gallery


@dataclass(frozen=True)
class QueryExpansion:
    """Parameters of average query expansion (Chum et al., ICCV 2007)."""

    topk: int = 5  #: number of gallery tracklets to average, at least 1; limited to the size of the gallery
    alpha: float = 0.0  #: exponent of the weights, at least 0; 0 for an unweighted mean

    def __post_init__(self) -> None:
        if not isinstance(self.topk, int) or self.topk < 1 or not 0 <= self.alpha < float('inf'):
            raise ConfigError(f'topk must be an integer from 1 and alpha at least 0, got {self}')


def expand_queries(query_features: Features, gallery_features: Features, parameters: QueryExpansion) -> Tensor:
    """Average each query with the ``topk`` gallery tracklets that have the largest inner product with it.

    The weight is 1 for the query and max(cos, 0) ** alpha for a gallery tracklet (Radenović et al., TPAMI 2019).
    Returns float (Nq, D), not normalized, on the device of the features. Raises as :class:`InnerProduct`.
    """
    query, gallery = paired_features(query_features, gallery_features)
    similarity, index = nearest_by_inner_product(query, gallery, parameters.topk)
    norms = query.norm(dim=1, keepdim=True) * gallery.norm(dim=1)[index]
    cosine = similarity / norms.clamp(min=torch.finfo(query.dtype).tiny)
    weight = cosine.clamp(0, 1) ** parameters.alpha
    expanded = query.clone()
    for place in range(index.shape[1]):  # one neighbor at a time needs (Nq, D) instead of (Nq, topk, D)
        expanded += weight[:, place, None] * gallery[index[:, place]]
    return expanded / (1 + weight.sum(dim=1, keepdim=True))


@dataclass(frozen=True)
class Reranking:
    """Parameters of k-reciprocal re-ranking (Zhong et al., CVPR 2017). Defaults: the paper's for Market-1501."""

    k1: int = 20  #: number of neighbors, including the tracklet itself; limited to the number of tracklets
    k2: int = 6  #: number of rows averaged in the expansion of encodings; 1 for no expansion
    lambda_value: float = 0.3  #: share of the original distance, in [0, 1]

    def __post_init__(self) -> None:
        whole = isinstance(self.k1, int) and isinstance(self.k2, int)
        if not whole or self.k1 < 1 or self.k2 < 1 or not 0 <= self.lambda_value <= 1:
            raise ConfigError(f'k1 and k2 must be integers from 1 and lambda_value lie in [0, 1], got {self}')


class Reranked:
    """Negated distances after joint k-reciprocal re-ranking of queries and gallery; see :class:`Scores`.

    For the N = Nq + Ng L2-normalized tracklets with squared distances d_ij = 2 - 2 cos:

        d*_ij = (1 - lambda) J_ij + lambda d_ij / max_k d_ik

    J is the Jaccard distance used for pseudo labels (:func:`dscreid.pseudo_labels.jaccard_distance`). Its encodings are
    weighted by exp(-d), while the paper's released code also divides this d by the largest value of its row. J is
    sparse and the rest is computed block by block: memory is O(N (k1 + D) + pairs that share an entry + block).
    Raises as :class:`InnerProduct`.
    """

    def __init__(self, query_features: Features, gallery_features: Features, parameters: Reranking) -> None:
        query, gallery = paired_features(query_features, gallery_features)
        self.shape = (len(query), len(gallery))
        self.device = query.device
        self._original_share = parameters.lambda_value
        self._all = normalized_rows(torch.cat([query, gallery]))
        features, neighbors = nearest_tracklets(self._all, parameters.k1)
        jaccard = jaccard_of_neighbors(features, neighbors, parameters.k1, parameters.k2, _SHARING, num_rows=len(query))
        self._jaccard = jaccard[:, len(query) :]

    def __getitem__(self, rows: slice) -> Tensor:
        num_queries = self.shape[0]
        distance = (2 - 2 * (self._all[:num_queries][rows] @ self._all.T)).clamp_(min=0)
        # if all tracklets are equal, the distances are only rounding errors, which must not be amplified
        largest = distance.amax(dim=1, keepdim=True).clamp_(min=torch.finfo(distance.dtype).eps ** 0.5)
        distance = distance[:, num_queries:] / largest
        distance *= self._original_share
        distance += 1 - self._original_share
        shared = self._jaccard[rows].tocoo()
        row, column, value = (torch.from_numpy(part).to(self.device) for part in (shared.row, shared.col, shared.data))
        distance[row.long(), column.long()] -= (1 - self._original_share) * (1 - value.to(distance.dtype))
        return distance.neg_()
