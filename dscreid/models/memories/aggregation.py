"""Centers of matched clusters: moved toward each other (ADCA), or averaged for a hybrid memory (RPNR)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.errors import ConfigError


@dataclass(frozen=True)
class Aggregation:
    """Settings for aggregating matched centers; see ``aggregate_centers``."""

    momentum: float = 0.1  #: weight of the old center, in [0, 1]
    both_ways: bool = False  #: whether to update infrared centers as well (the paper's text, not its released code)
    normalize: bool = False  #: whether to L2-normalize updated centers (not in the released code)

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
    """Move the centers of matched clusters, (C_v, D) and (C_t, D), toward each other (ADCA; Yang et al., ACM MM 2022).

    For each match (p, q), a row of ``matches``, ``M^v_p <- momentum * M^v_p + (1 - momentum) * M^t_q``, and, with
    ``both_ways``, the reverse, using the old ``M^v_p``. ``normalize`` L2-normalizes updated centers.
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


def hybrid_centers(visible: Tensor, infrared: Tensor, matches: Tensor, normalize: bool = True) -> Tensor:
    """Average the center of each infrared cluster, (C_t, D), with that of its visible partner, of (C_v, D) (RPNR).

    ``matches``, int64 (C_t, 2), are pairs (visible, infrared) with every infrared cluster once. A visible cluster may
    be the partner of many. ``normalize`` L2-normalizes the averages.

    Returns float (C_t, D), in the order of the infrared clusters; raises ValueError for other matches.
    """
    partners, own = matches.unbind(dim=1)
    if not torch.equal(own.sort().values, torch.arange(len(infrared), device=own.device)):
        raise ValueError(f'a hybrid memory needs one match for each of {len(infrared)} infrared clusters, got {own}')
    averages = (visible[partners[own.argsort()]] + infrared) / 2
    return F.normalize(averages, dim=1) if normalize else averages
