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


def hybrid_centers(visible: Tensor, infrared: Tensor, partners: Tensor, normalize: bool = True) -> Tensor:
    """Average the center of each infrared cluster with that of its visible partner (RPNR; Yin et al., ACM MM 2024).

    Centers are (C_v, D) and (C_t, D), ``partners`` int64 (C_t,); a visible cluster may be the partner of many.
    ``normalize`` L2-normalizes the averages, (C_t, D).
    """
    averages = (visible[partners] + infrared) / 2
    return F.normalize(averages, dim=1) if normalize else averages
