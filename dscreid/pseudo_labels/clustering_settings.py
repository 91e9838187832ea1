"""Settings for clustering with k-reciprocal Jaccard distances and DBSCAN, derived from the size of an identity."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from dscreid.neighbors.jaccard import jaccard_of_neighbors
from dscreid.pseudo_labels.clustering import dbscan

#: Labeler arguments that a config sets once, as ``clustering=dict(...)``; see ``engine.common_settings``.
COMMON_CLUSTERING = MappingProxyType(
    {name: f'clustering.{name}' for name in ('k1', 'k2', 'eps', 'min_samples')}
)


@dataclass(frozen=True)
class ClusteringSettings:
    """Settings of k-reciprocal Jaccard distances and DBSCAN.

    Attributes:
        k1: Number of neighbors in the Jaccard distance, at least 1.
        k2: Number of rows averaged in its query expansion, 1 for none.
        eps: DBSCAN radius, in (0, 1).
        min_samples: Number of tracklets within ``eps``, including the tracklet itself, that make it a core
            point.
    """

    k1: int
    k2: int
    eps: float
    min_samples: int

    def __str__(self) -> str:
        """Format the settings as in a config."""
        return f'k1={self.k1}, k2={self.k2}, eps={self.eps:g}, min_samples={self.min_samples}'


def settings_for(
    k1: int, k2: int | None = None, eps: float | None = None, min_samples: int | None = None
) -> ClusteringSettings:
    """Derive the settings for identities of ``k1`` tracklets.

    Args:
        k1: Number of tracklets per identity, at least 1.
        k2: None uses the square root of ``k1``, rounded, in [2, 4] and at most ``k1``.
        eps: None uses 0.55.
        min_samples: None uses a quarter of ``k1``, rounded, in [2, 4]: normally 4, and fewer if an identity
            has too few tracklets to form a core of four.
    """
    return ClusteringSettings(
        k1=k1,
        k2=min(k1, int(np.clip(round(k1**0.5), 2, 4))) if k2 is None else k2,
        eps=0.55 if eps is None else eps,
        min_samples=int(np.clip(round(k1 / 4), 2, 4)) if min_samples is None else min_samples,
    )


def cluster_neighbors(features: np.ndarray, rank: np.ndarray, settings: ClusteringSettings) -> np.ndarray:
    """Cluster tracklets from known neighbors.

    Args:
        features: float32 (N, D), L2-normalized.
        rank: int32 (N, K), the nearest tracklets of each tracklet, itself first. K is at least
            ``min(k1, N)``.
        settings: Clustering settings.

    Returns:
        int64 (N,), clusters numbered from 0, -1 = outlier. The result equals ``jaccard_distance`` followed by
        ``dbscan``.
    """
    distance = jaccard_of_neighbors(features, rank, settings.k1, settings.k2, settings.eps)
    return dbscan(distance, settings.eps, settings.min_samples)
