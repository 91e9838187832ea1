"""Memories with one center per cluster or one row per tracklet, and their updates, equations (1) and (2)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.registry import MODELS
from dscreid.structures import TrackletFeatures

DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


class FeatureMemory(nn.Module):
    """Static and dynamic feature matrices, not saved because every labeling rebuilds them."""

    static: Tensor
    dynamic: Tensor
    momentum: float  #: weight of the *old* entry in an update, in [0, 1]

    def __post_init__(self) -> None:
        super().__init__()
        if not 0 <= self.momentum <= 1:
            raise ConfigError(f'{type(self).__name__}: momentum must lie in [0, 1], got {self.momentum}')
        self.register_buffer('static', torch.empty(0, 0), persistent=False)
        self.register_buffer('dynamic', torch.empty(0, 0), persistent=False)

    def __len__(self) -> int:
        return len(self.static)

    def features(self, rows: Tensor | None = None) -> TrackletFeatures:
        """Return a copy of the given rows (int64 (n,)), or all rows without a copy."""
        if rows is None:
            return TrackletFeatures(self.static, self.dynamic)
        return TrackletFeatures(self.static[rows], self.dynamic[rows])


@dataclass(eq=False, repr=False)
class CenterMemory(FeatureMemory):
    """Base class of memories with static and dynamic centers of all clusters, equation (1); subclasses update them."""

    momentum: float = 0.1  #: weight of the old center in ``M[k] <- momentum * M[k] + (1 - momentum) * n(q)``
    normalize: bool = True  #: whether to L2-normalize centers when they are built and after each update

    def reset(self, features: TrackletFeatures, labels: Tensor, num_clusters: int) -> None:
        """Rebuild the C centers from N rows of features; rows with a label, int64 (N,), of -1 are ignored."""
        halves = []
        for rows in (features.static, features.dynamic):
            # On the CPU, which sums in a fixed order.
            members = F.normalize(rows.float().cpu(), dim=1)
            halves.append(cluster_centers(members, labels.cpu(), num_clusters, self.normalize))
        self.fill(*halves)

    def fill(self, static: Tensor, dynamic: Tensor) -> None:
        """Replace all centers by the given ones, float (C, D) per half."""
        for name, centers in (('static', static), ('dynamic', dynamic)):
            setattr(self, name, centers.to(self.static.device))

    def update(self, static: Tensor, dynamic: Tensor, labels: Tensor, repeats: int | None = None) -> None:
        """Update the centers with a batch, float (B, D) per half; samples labeled -1 are skipped.

        ``repeats`` is the maximum number of occurrences of a label, if the caller knows it.
        """
        raise NotImplementedError


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class ClusterMemory(CenterMemory):
    """Static and dynamic centers of all clusters, equations (1) and (2)."""

    hard: bool = False  #: whether a batch updates each center only with its least similar member (of each half)

    def update(self, static: Tensor, dynamic: Tensor, labels: Tensor, repeats: int | None = None) -> None:
        """Update the centers with a batch, float (B, D) per half, in order; samples labeled -1 are skipped."""
        for memory, values in ((self.static, static), (self.dynamic, dynamic)):
            values = F.normalize(values.float(), dim=1)
            rows = hardest_rows(memory, values, labels) if self.hard else labels
            momentum_update_(memory, values, rows, self.momentum, self.normalize, 1 if self.hard else repeats)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class MeanHardMemory(CenterMemory):
    """Two centers of each cluster: one follows the mean of a batch's members, the other the least similar (RPNR).

    Both are equal when they are built. ``static`` and ``dynamic`` are (2, C, D), mean centers first; ``features``
    returns the mean centers. See :class:`~dscreid.models.losses.MeanHardContrastiveLoss`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fill(self.static, self.dynamic)

    def __len__(self) -> int:
        return self.static.shape[1]

    def features(self, rows: Tensor | None = None) -> TrackletFeatures:
        """Return the mean centers, a copy of the given rows (int64 (n,)) or all without a copy."""
        chosen = slice(None) if rows is None else rows
        return TrackletFeatures(self.static[0, chosen], self.dynamic[0, chosen])

    def fill(self, static: Tensor, dynamic: Tensor) -> None:
        """Set both centers of each cluster to the given ones, float (C, D) per half."""
        super().fill(torch.stack([static, static]), torch.stack([dynamic, dynamic]))

    def update(self, static: Tensor, dynamic: Tensor, labels: Tensor, repeats: int | None = None) -> None:
        """Update the mean centers with the mean of each label in a batch, and the hard ones with one member.

        That member is the least similar to the mean center before the update. See ``CenterMemory.update``.
        """
        for (mean, hard), values in ((self.static, static), (self.dynamic, dynamic)):
            values = F.normalize(values.float(), dim=1)
            hardest = hardest_rows(mean, values, labels)
            momentum_update_(hard, values, hardest, self.momentum, self.normalize, 1)
            momentum_update_(mean, *batch_means(values, labels), self.momentum, self.normalize, 1)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class InstanceMemory(FeatureMemory):
    """L2-normalized static and dynamic features of all training tracklets of one modality."""

    momentum: float = 0.9  #: weight of the old row in ``M[i] <- n(momentum * M[i] + (1 - momentum) * q)``
    #: whether to L2-normalize q first (not in the released code of the parent method, where its norm of about sqrt(D)
    #: lets it outweigh the old row)
    normalize_queries: bool = True
    dtype: str = 'float32'  #: ``'float32'``, or ``'bfloat16'`` or ``'float16'`` to halve the memory for large datasets

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dtype not in DTYPES:
            raise ConfigError(f'InstanceMemory: dtype must be one of {sorted(DTYPES)}, got {self.dtype!r}')

    def reset(self, features: TrackletFeatures) -> None:
        """Fill the memory with the features of N tracklets, which this method L2-normalizes."""
        for name in ('static', 'dynamic'):
            rows = F.normalize(getattr(features, name).float(), dim=1)
            setattr(self, name, rows.to(self.static.device, DTYPES[self.dtype]))

    def update(self, static: Tensor, dynamic: Tensor, rows: Tensor, repeats: int | None = None) -> None:
        """Update ``rows``, int64 (B,), with a batch, float (B, D) per half, in order; rows of -1 are skipped."""
        for memory, values in ((self.static, static), (self.dynamic, dynamic)):
            values = F.normalize(values.float(), dim=1) if self.normalize_queries else values
            momentum_update_(memory, values, rows, self.momentum, repeats=repeats)


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
        memory: (R, D) of any floating dtype, modified in place; computation uses float32 or wider.
        values: float (B, D), used without normalization.
        rows: int64 (B,) in [-1, R). Values with row -1 are skipped.
        momentum: Weight of the old entry, in [0, 1].
        normalize: Whether to L2-normalize updated rows.
        repeats: Maximum number of occurrences of a row; None counts it, which synchronizes with the GPU.
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
def batch_means(values: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Average the values, float (B, D), that belong to the same memory row, int64 (B,).

    Returns float (B, D), the mean at the first value of each row, and ``rows`` with -1 for all other values.
    """
    same = rows[:, None] == rows[None, :]
    means = same.to(values.dtype) @ values / same.sum(dim=1, keepdim=True)
    return means, torch.where(same.tril(-1).any(dim=1), -1, rows)


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
