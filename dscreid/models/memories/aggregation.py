"""Centers across modalities: moved toward each other (ADCA), or averaged (RPNR, PCLHD)."""

from collections.abc import Sequence
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


def balanced_centers(
    features: Sequence[Tensor], labels: Sequence[Tensor], num_clusters: int, normalize: bool = True
) -> Tensor:
    """Average the members of each cluster within each modality, then the modalities that occur (PCLHD).

    ``features`` are float (N, D) of each modality, L2-normalized by this function, ``labels`` int64 (N,), -1 = outlier.
    Every cluster has a member. Returns float (C, D) on the CPU, where the order of summation is fixed, with
    ``normalize`` L2-normalized.
    """
    width = features[0].shape[1]
    total, present = torch.zeros(num_clusters, width), torch.zeros(num_clusters, 1)
    for rows, numbers in zip(features, labels, strict=True):
        member = numbers.cpu() >= 0
        numbers, rows = numbers.cpu()[member], F.normalize(rows.float().cpu(), dim=1)[member]
        sizes = torch.bincount(numbers, minlength=num_clusters)[:, None]
        sums = rows.new_zeros(num_clusters, width).index_add_(0, numbers, rows)
        total, present = total + sums / sizes.clamp(min=1), present + (sizes > 0)
    centers = total / present
    return F.normalize(centers, dim=1) if normalize else centers
