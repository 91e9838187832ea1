"""Bringing the centres of matched clusters together (ADCA's cross-modality memory aggregation)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.errors import ConfigError


@dataclass(frozen=True)
class Aggregation:
    """How matched centres are aggregated; see ``aggregate_centers``.

    Attributes:
        momentum: Share of the old centre, in [0, 1].
        both_ways: Whether infrared centres follow too. The paper's text aggregates both representations; its released
            code leaves the infrared memory as it is.
        normalize: Whether changed centres are L2-normalised; the released code does not.
    """

    momentum: float = 0.1
    both_ways: bool = False
    normalize: bool = False

    def __post_init__(self) -> None:
        """Check the range."""
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
    """Move the centres of matched clusters towards each other, once (ADCA; Yang et al., ACM MM 2022).

    ``M^v_p <- momentum * M^v_p + (1 - momentum) * M^t_q`` for each match (p, q); with ``both_ways`` likewise
    ``M^t_q``, from the old ``M^v_p``. A momentum of 1 keeps the *old* centre.

    Args:
        visible: float (C_v, D), centres of the visible clusters.
        infrared: float (C_t, D), centres of the infrared clusters.
        matches: int64 (P, 2), pairs (p, q).
        momentum: Share of the old centre, in [0, 1].
        both_ways: Whether infrared centres are changed too.
        normalize: Whether changed centres are L2-normalised.

    Returns:
        New visible and infrared centres; without ``both_ways`` the latter is the tensor given.

    Raises:
        ValueError: A cluster that is to be changed appears in two matches.
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
