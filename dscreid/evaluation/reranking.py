"""k-reciprocal re-ranking at test time (Zhong et al., CVPR 2017) without an N x N array."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.evaluation.scores import Features, paired_features
from dscreid.neighbors.jaccard import jaccard_of_neighbors, nearest_tracklets
from dscreid.neighbors.knn import normalized_rows

# The largest float32 below 1: all pairs whose encodings share an entry are stored; the distance of all others is 1.
_SHARING = float(np.nextafter(np.float32(1), np.float32(0)))


@dataclass(frozen=True)
class Reranking:
    """Parameters of k-reciprocal re-ranking. The defaults are those of the paper for Market-1501."""

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

    Raises:
        ValueError: If shapes do not fit or features are not finite.
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
