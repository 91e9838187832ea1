"""What memories hold and how they follow the features, as pure functions: equations (1) and (2)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cluster_centers(features: Tensor, labels: Tensor, num_clusters: int, normalize: bool = True) -> Tensor:
    """Mean feature of each cluster, equation (1).

    Args:
        features: float (N, D).
        labels: int64 (N,) in [-1, num_clusters); rows labelled -1 (outliers) are left out.
        num_clusters: Number C of clusters; each should have a member (one without keeps a row of zeros).
        normalize: Whether the centres are L2-normalised.

    Returns:
        float32 (C, D), or float64 for float64 features.
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
    memory: Tensor, values: Tensor, rows: Tensor, momentum: float, normalize: bool = True
) -> None:
    """Let memory rows follow new values in place, equation (2).

    For each value q and its row k, one after another in the order given:
    ``M[k] <- momentum * M[k] + (1 - momentum) * q``, then L2-normalised. A momentum of 1 keeps the *old*
    entry (PyTorch's batch normalisation counts the other way round), 0 copies the last value. A row met
    several times is updated several times; rows do not depend on each other, so the first meetings of all
    rows are one step, then the second ones, which is exact.

    Args:
        memory: (R, D), changed in place; any floating dtype, computed in float32 at least.
        values: float (B, D), used as they are.
        rows: int64 (B,) in [-1, R); -1 is skipped.
        momentum: Share of the old entry, in [0, 1].
        normalize: Whether updated rows are L2-normalised.
    """
    dtype = torch.promote_types(memory.dtype, torch.float32)
    known = rows >= 0
    values, rows = values[known].to(dtype), rows[known]
    earlier = (rows[:, None] == rows[None, :]).tril(-1).sum(dim=1)  # (B,), earlier meetings of the same row
    for turn in range(int(earlier.max()) + 1 if len(rows) else 0):
        now = earlier == turn
        updated = momentum * memory[rows[now]].to(dtype) + (1 - momentum) * values[now]
        memory[rows[now]] = (F.normalize(updated, dim=1) if normalize else updated).to(memory.dtype)


@torch.no_grad()
def hardest_rows(memory: Tensor, values: Tensor, rows: Tensor) -> Tensor:
    """Keep of each memory row only the value least similar to it (the hard variant of Cluster Contrast).

    Args:
        memory: (R, D), L2-normalised rows.
        values: float (B, D), L2-normalised.
        rows: int64 (B,) in [-1, R).

    Returns:
        int64 (B,): ``rows`` with -1 for all values that are not kept. Ties keep the first.
    """
    similarity = (memory[rows.clamp(min=0)].to(values.dtype) * values).sum(dim=1)
    kept = torch.full_like(rows, -1)
    for row in rows[rows >= 0].unique():
        candidates = (rows == row).nonzero()[:, 0]
        kept[candidates[similarity[candidates].argmin()]] = row
    return kept
