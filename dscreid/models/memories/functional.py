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
    memory: Tensor,
    values: Tensor,
    rows: Tensor,
    momentum: float,
    normalize: bool = True,
    repeats: int | None = None,
) -> None:
    """Let memory rows follow new values in place, equation (2).

    For each value q and its row k, one after another in the order given:
    ``M[k] <- momentum * M[k] + (1 - momentum) * q``, then L2-normalised. A momentum of 1 keeps the *old*
    entry (PyTorch's batch normalisation counts the other way round), 0 copies the last value. A row met
    several times is updated several times; rows do not depend on each other, so the first meetings of all
    rows are one step, then the second ones, which is exact.

    All shapes follow from those of the arguments: with ``repeats`` nothing is read from the device.

    Args:
        memory: (R, D), changed in place; any floating dtype, computed in float32 at least.
        values: float (B, D), used as they are.
        rows: int64 (B,) in [-1, R); -1 is skipped.
        momentum: Share of the old entry, in [0, 1].
        normalize: Whether updated rows are L2-normalised.
        repeats: How often a row occurs at most, where the caller knows; more than that changes nothing. None: counted,
            for which a GPU is waited for.
    """
    if not len(memory) or not len(rows):
        return
    dtype = torch.promote_types(memory.dtype, torch.float32)
    values = values.to(dtype)
    earlier = (rows[:, None] == rows[None, :]).tril(-1).sum(dim=1)  # (B,), earlier meetings of the same row
    if repeats is None:
        repeats = int(torch.where(rows >= 0, earlier + 1, 0).max())
    # what is skipped stands for row 0 and follows it, so that all who share a row write the same into it
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
    """Keep of each memory row only the value least similar to it (the hard variant of Cluster Contrast).

    Args:
        memory: (R, D), L2-normalised rows.
        values: float (B, D), L2-normalised.
        rows: int64 (B,) in [-1, R).

    Returns:
        int64 (B,): ``rows`` with -1 for all values that are not kept. Ties keep the first.
    """
    if not len(memory):
        return torch.full_like(rows, -1)
    similarity = (memory[rows.clamp(min=0)].to(values.dtype) * values).sum(dim=1)
    below = similarity[None, :] < similarity[:, None]  # [i, j]: whether j is less similar than i
    tied_before = (similarity[None, :] == similarity[:, None]).tril(-1)
    harder = (rows[:, None] == rows[None, :]) & (below | tied_before)
    return torch.where(harder.any(dim=1), -1, rows)
