"""Aggregate the centers of matched clusters (ADCA's cross-modality memory aggregation)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.errors import ConfigError


@dataclass(frozen=True)
class Aggregation:
    """Settings for aggregating matched centers; see ``aggregate_centers``."""

    momentum: float = 0.1  #: weight of the old center, in [0, 1]
    #: whether to update infrared centers as well, as in the text of the paper but not in its released code
    both_ways: bool = False
    normalize: bool = False  #: whether to L2-normalize updated centers. The released code does not.

    def __post_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ConfigError(f'Aggregation: momentum must lie in [0, 1], got {self.momentum}')


def aggregate_centers(
    visible: Tensor,
    infrared: Tensor,
    matches: Tensor,
    momentum: float = 0.1,
    both_ways: bool = False,
    normalize: bool = False,
) -> tuple[Tensor, Tensor]:
    """Move the centers of matched clusters toward each other, once (ADCA; Yang et al., ACM MM 2022).

    For each match (p, q), ``M^v_p <- momentum * M^v_p + (1 - momentum) * M^t_q``. With ``both_ways``, ``M^t_q`` is
    updated in the same way, using the old ``M^v_p``. See :class:`Aggregation` for the other arguments.

    Args:
        visible: float (C_v, D), centers of the visible clusters.
        infrared: float (C_t, D), centers of the infrared clusters.
        matches: int64 (P, 2), pairs (p, q).
        momentum: Weight of the old center, in [0, 1].
        both_ways: Whether to update infrared centers as well; otherwise the tensor ``infrared`` itself is returned.
        normalize: Whether to L2-normalize updated centers.

    Raises:
        ValueError: If a cluster to be updated appears in two matches.
    """
    sides = matches.unbind(dim=1)
    for side in sides[: 1 + both_ways]:
        if len(side.unique()) < len(side):
            raise ValueError(f'matches must be one to one, got {matches.tolist()[:10]}')

    def moved(centers: Tensor, rows: Tensor, others: Tensor) -> Tensor:
        changed = momentum * centers[rows] + (1 - momentum) * others
        return centers.index_copy(0, rows, F.normalize(changed, dim=1) if normalize else changed)

    with torch.no_grad():
        new_visible = moved(visible, sides[0], infrared[sides[1]])
        return new_visible, moved(infrared, sides[1], visible[sides[0]]) if both_ways else infrared
