"""Initialization and update of memories, equations (1) and (2), as pure functions."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.errors import ConfigError


def cluster_centers(features: Tensor, labels: Tensor, num_clusters: int, normalize: bool = True) -> Tensor:
    """Compute the mean of ``features``, (N, D), of each cluster, equation (1): float32 (or float64 if given) (C, D).

    ``labels`` are int64 (N,) in [-1, num_clusters); -1 is ignored. A cluster without members gets a row of zeros.
    """
    features = features if features.dtype == torch.float64 else features.float()
    member = labels >= 0
    centers = features.new_zeros(num_clusters, features.shape[1])
    centers.index_add_(0, labels[member], features[member])
    counts = torch.bincount(labels[member], minlength=num_clusters).clamp(min=1)
    centers = centers / counts[:, None]
    return F.normalize(centers, dim=1) if normalize else centers


@torch.no_grad()
def momentum_update_(
    memory: Tensor, values: Tensor, rows: Tensor, momentum: float, normalize: bool = True, repeats: int | None = None
) -> None:
    """Update memory rows with new values in place, equation (2).

    For each value q and its row k, in the given order, ``M[k] <- momentum * M[k] + (1 - momentum) * q``, followed by L2
    normalization. First occurrences of all rows are processed in one step, then the second ones, and so on.

    Args:
        memory: (R, D), modified in place. Any floating dtype; computation uses float32 or wider.
        values: float (B, D), used without normalization.
        rows: int64 (B,) in [-1, R). Values with row -1 are skipped.
        momentum: Weight of the old entry, in [0, 1].
        normalize: Whether to L2-normalize updated rows.
        repeats: Maximum number of occurrences of a row. None counts it, which synchronizes with the GPU.
    """
    if not len(memory) or not len(rows):
        return
    dtype = torch.promote_types(memory.dtype, torch.float32)
    values = values.to(dtype)
    earlier = (rows[:, None] == rows[None, :]).tril(-1).sum(dim=1)  # (B,), earlier uses of the same row
    if repeats is None:
        repeats = int(torch.where(rows >= 0, earlier + 1, 0).max())
    # Skipped values are assigned to row 0 and track its updates, so that all writes to a row have the same value.
    targets = rows.clamp(min=0)
    shares = (targets[:, None] == rows[None, :]).to(torch.uint8)  # (B, B)
    current = memory[targets]
    for turn in range(repeats):
        now = shares * (earlier == turn)
        following, source = now.max(dim=1)
        updated = momentum * current.to(dtype) + (1 - momentum) * values[source]
        updated = (F.normalize(updated, dim=1) if normalize else updated).to(memory.dtype)
        current = torch.where(following.bool()[:, None], updated, current)
    memory[targets] = current


@torch.no_grad()
def hardest_rows(memory: Tensor, values: Tensor, rows: Tensor) -> Tensor:
    """Keep only the least similar value for each memory row (the hard variant of Cluster Contrast).

    ``memory``, (R, D), and ``values``, (B, D), are L2-normalized. Returns ``rows``, int64 (B,) in [-1, R), with -1 for
    all values that are not kept. In a tie, the first value is kept.
    """
    if not len(memory):
        return torch.full_like(rows, -1)
    similarity = (memory[rows.clamp(min=0)].to(values.dtype) * values).sum(dim=1)
    below = similarity[None, :] < similarity[:, None]  # [i, j]: True if j is less similar than i
    tied_before = (similarity[None, :] == similarity[:, None]).tril(-1)
    harder = (rows[:, None] == rows[None, :]) & (below | tied_before)
    return torch.where(harder.any(dim=1), -1, rows)


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

    For each match (p, q), a row of ``matches``, ``M^v_p <- momentum * M^v_p + (1 - momentum) * M^t_q``. With
    ``both_ways``, ``M^t_q`` is updated in the same way, using the old ``M^v_p``; otherwise ``infrared`` itself is
    returned. ``normalize`` L2-normalizes updated centers.

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
