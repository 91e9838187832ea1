"""Average query expansion at test time (Chum et al., ICCV 2007), optionally weighted."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.evaluation.scores import Features, paired_features
from dscreid.neighbors.knn import nearest_by_inner_product


@dataclass(frozen=True)
class QueryExpansion:
    """Parameters of the query expansion.

    Attributes:
        topk: Gallery tracklets in a mean, at least 1; clipped to the gallery.
        alpha: Exponent of the weights, at least 0; 0 for the plain mean.

    Raises:
        ConfigError: If one is out of range.
    """

    topk: int = 5
    alpha: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not isinstance(self.topk, int) or self.topk < 1 or not 0 <= self.alpha < float('inf'):
            raise ConfigError(f'topk must be an integer from 1 and alpha at least 0, got {self}')


def expand_queries(
    query_features: Features, gallery_features: Features, parameters: QueryExpansion
) -> Tensor:
    """Weighted mean of each query and the ``topk`` gallery tracklets of largest inner product with it.

    The query weighs 1, a gallery tracklet max(cos, 0) ** alpha (Radenović et al., TPAMI 2019); with alpha 0
    all weigh the same. The result is not normalised: a query's norm does not change the order of its gallery.
    No person id, camera or modality is used.

    Args:
        query_features: Float (Nq, D), torch (any device) or numpy.
        gallery_features: Float (Ng, D).
        parameters: topk and alpha.

    Returns:
        Float (Nq, D), on the device of the features.

    Raises:
        ValueError: If shapes do not fit or features are not finite.
    """
    query, gallery = paired_features(query_features, gallery_features)
    similarity, index = nearest_by_inner_product(query, gallery, parameters.topk)
    norms = query.norm(dim=1, keepdim=True) * gallery.norm(dim=1)[index]
    cosine = similarity / norms.clamp(min=torch.finfo(query.dtype).tiny)
    weight = cosine.clamp(0, 1) ** parameters.alpha
    expanded = query.clone()
    for place in range(index.shape[1]):  # one neighbour at a time: (Nq, D) and not (Nq, topk, D)
        expanded += weight[:, place, None] * gallery[index[:, place]]
    return expanded / (1 + weight.sum(dim=1, keepdim=True))
