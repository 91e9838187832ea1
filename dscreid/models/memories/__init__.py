"""Memories of adaptation: cluster centres and every tracklet's feature."""

from dscreid.models.memories.feature_memory import ClusterMemory, InstanceMemory
from dscreid.models.memories.functional import cluster_centers, hardest_rows, momentum_update_
from dscreid.models.memories.target_memories import LocatedBatch, TargetMemories

__all__ = [
    'ClusterMemory',
    'InstanceMemory',
    'LocatedBatch',
    'TargetMemories',
    'cluster_centers',
    'hardest_rows',
    'momentum_update_',
]
