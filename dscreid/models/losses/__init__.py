"""Losses as pure functions, and thin modules around them for use in configs."""

from dscreid.models.losses.functional import (
    cluster_contrastive_loss,
    neighbor_contrastive_loss,
    neighbor_mask,
    soft_cluster_contrastive_loss,
    supervised_contrastive_loss,
    weighted_regularized_triplet,
)
from dscreid.models.losses.modules import ClusterContrastiveLoss, CrossClusterLoss, NeighborContrastiveLoss

__all__ = [
    'ClusterContrastiveLoss',
    'CrossClusterLoss',
    'NeighborContrastiveLoss',
    'cluster_contrastive_loss',
    'neighbor_contrastive_loss',
    'neighbor_mask',
    'soft_cluster_contrastive_loss',
    'supervised_contrastive_loss',
    'weighted_regularized_triplet',
]
