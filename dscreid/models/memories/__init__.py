"""Memories of the adaptation stage: cluster centers and the features of all tracklets."""

from dscreid.models.memories.feature_memory import ClusterMemory, InstanceMemory
from dscreid.models.memories.target_memories import Aggregation, LocatedBatch, TargetMemories, aggregate_centers

__all__ = ['Aggregation', 'ClusterMemory', 'InstanceMemory', 'LocatedBatch', 'TargetMemories', 'aggregate_centers']
