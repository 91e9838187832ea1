"""Memories of the adaptation stage: cluster centers and the features of all tracklets."""

from dscreid.models.memories.feature_memory import (
    ClusterMemory,
    InstanceMemory,
    cluster_centers,
    hardest_rows,
    momentum_update_,
)
from dscreid.models.memories.target_memories import (
    Aggregation,
    LocatedBatch,
    SoftRows,
    TargetMemories,
    aggregate_centers,
)

__all__ = [
    'Aggregation',
    'ClusterMemory',
    'InstanceMemory',
    'LocatedBatch',
    'SoftRows',
    'TargetMemories',
    'aggregate_centers',
    'cluster_centers',
    'hardest_rows',
    'momentum_update_',
]
