"""Memories of static and dynamic features, with one center per cluster or one row per tracklet."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.memories.functional import cluster_centers, hardest_rows, momentum_update_
from dscreid.registry import MODELS
from dscreid.structures import TrackletFeatures

DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


class FeatureMemory(nn.Module):
    """Static and dynamic feature matrices, not saved because every labeling rebuilds them.

    ``momentum`` is the weight of the *old* entry in an update, in [0, 1].
    """

    static: Tensor
    dynamic: Tensor

    def __init__(self, momentum: float) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ConfigError(f'{type(self).__name__}: momentum must lie in [0, 1], got {momentum}')
        self.momentum = momentum
        self.register_buffer('static', torch.empty(0, 0), persistent=False)
        self.register_buffer('dynamic', torch.empty(0, 0), persistent=False)

    def __len__(self) -> int:
        return len(self.static)

    def features(self, rows: Tensor | None = None) -> TrackletFeatures:
        """Return a copy of the given rows (int64 (n,)), or all rows without a copy."""
        if rows is None:
            return TrackletFeatures(self.static, self.dynamic)
        return TrackletFeatures(self.static[rows], self.dynamic[rows])


@MODELS.register_module()
class ClusterMemory(FeatureMemory):
    """Static and dynamic centers of all clusters, equations (1) and (2).

    Args:
        momentum: Weight of the old center: ``M[k] <- momentum * M[k] + (1 - momentum) * n(q)``.
        normalize: Whether to L2-normalize centers when they are built and after each update.
        hard: Whether a batch updates each center only with its least similar member (of each half), not with all
            members one after another.
    """

    def __init__(self, momentum: float = 0.1, normalize: bool = True, hard: bool = False) -> None:
        super().__init__(momentum)
        self.normalize = normalize
        self.hard = hard

    def reset(self, features: TrackletFeatures, labels: Tensor, num_clusters: int) -> None:
        """Rebuild the C centers from N rows of features; rows with a label, int64 (N,), of -1 are ignored."""
        for name in ('static', 'dynamic'):
            # On the CPU, which sums in a fixed order.
            members = F.normalize(getattr(features, name).float().cpu(), dim=1)
            centers = cluster_centers(members, labels.cpu(), num_clusters, self.normalize)
            setattr(self, name, centers.to(self.static.device))

    def update(self, static: Tensor, dynamic: Tensor, labels: Tensor, repeats: int | None = None) -> None:
        """Update the centers with a batch, float (B, D) per half, in order; samples labeled -1 are skipped."""
        for memory, values in ((self.static, static), (self.dynamic, dynamic)):
            values = F.normalize(values.float(), dim=1)
            rows = hardest_rows(memory, values, labels) if self.hard else labels
            momentum_update_(memory, values, rows, self.momentum, self.normalize, 1 if self.hard else repeats)


@MODELS.register_module()
class InstanceMemory(FeatureMemory):
    """L2-normalized static and dynamic features of all training tracklets of one modality.

    Args:
        momentum: Weight of the old row: ``M[i] <- n(momentum * M[i] + (1 - momentum) * q)``.
        normalize_queries: Whether to L2-normalize q first (not in the released code of the parent method, where its
            norm of about sqrt(D) lets it outweigh the old row).
        dtype: ``'float32'``, or ``'bfloat16'`` or ``'float16'`` to halve the memory for large datasets.

    Raises:
        ConfigError: If ``dtype`` is unknown or the momentum is out of range.
    """

    def __init__(self, momentum: float = 0.9, normalize_queries: bool = True, dtype: str = 'float32') -> None:
        super().__init__(momentum)
        if dtype not in DTYPES:
            raise ConfigError(f'InstanceMemory: dtype must be one of {sorted(DTYPES)}, got {dtype!r}')
        self.normalize_queries = normalize_queries
        self.dtype = DTYPES[dtype]

    def reset(self, features: TrackletFeatures) -> None:
        """Fill the memory with the features of N tracklets, which this method L2-normalizes."""
        for name in ('static', 'dynamic'):
            rows = F.normalize(getattr(features, name).float(), dim=1)
            setattr(self, name, rows.to(self.static.device, self.dtype))

    def update(self, static: Tensor, dynamic: Tensor, rows: Tensor, repeats: int | None = None) -> None:
        """Update ``rows``, int64 (B,), with a batch, float (B, D) per half, in order; rows of -1 are skipped."""
        for memory, values in ((self.static, static), (self.dynamic, dynamic)):
            values = F.normalize(values.float(), dim=1) if self.normalize_queries else values
            momentum_update_(memory, values, rows, self.momentum, repeats=repeats)
