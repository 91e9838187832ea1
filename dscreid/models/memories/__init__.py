"""Memories of the adaptation stage: cluster centers and the features of all tracklets."""

from dscreid.models.memories.aggregation import Aggregation, aggregate_centers, hybrid_centers
from dscreid.models.memories.feature_memory import ClusterMemory, InstanceMemory, MeanHardMemory
from dscreid.models.memories.target_memories import LocatedBatch, TargetMemories

__all__ = [
    'Aggregation',
    'ClusterMemory',
    'InstanceMemory',
    'LocatedBatch',
    'MeanHardMemory',
    'TargetMemories',
    'aggregate_centers',
    'hybrid_centers',
]
