"""Average query expansion at test time (Chum et al., ICCV 2007), with optional weights."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.evaluation.scores import Features, paired_features
from dscreid.neighbors.knn import nearest_by_inner_product


@dataclass(frozen=True)
class QueryExpansion:
    """Parameters of the query expansion."""

    topk: int = 5  #: number of gallery tracklets to average, at least 1; limited to the size of the gallery
    alpha: float = 0.0  #: exponent of the weights, at least 0; 0 for an unweighted mean

    def __post_init__(self) -> None:
        if not isinstance(self.topk, int) or self.topk < 1 or not 0 <= self.alpha < float('inf'):
            raise ConfigError(f'topk must be an integer from 1 and alpha at least 0, got {self}')


def expand_queries(query_features: Features, gallery_features: Features, parameters: QueryExpansion) -> Tensor:
    """Average each query with the ``topk`` gallery tracklets that have the largest inner product with it.

    The weight is 1 for the query and max(cos, 0) ** alpha for a gallery tracklet (Radenović et al., TPAMI 2019).
    Returns float (Nq, D), not normalized, on the device of the features.

    Raises:
        ValueError: If shapes do not fit or features are not finite.
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
