"""Losses as pure functions, and thin modules around them for use in configs."""

from dscreid.models.losses.functional import (
    cluster_contrastive_loss,
    neighbor_contrastive_loss,
    neighbor_mask,
    soft_cluster_contrastive_loss,
    supervised_contrastive_loss,
    weighted_regularized_triplet,
)
from dscreid.models.losses.mean_hard import MeanHardContrastiveLoss, mean_hard_contrastive_loss
from dscreid.models.losses.modules import ClusterContrastiveLoss, CrossClusterLoss, NeighborContrastiveLoss
from dscreid.models.losses.relaxed import RelaxedContrastiveLoss, relaxed_contrastive_loss

__all__ = [
    'ClusterContrastiveLoss',
    'CrossClusterLoss',
    'MeanHardContrastiveLoss',
    'NeighborContrastiveLoss',
    'RelaxedContrastiveLoss',
    'cluster_contrastive_loss',
    'mean_hard_contrastive_loss',
    'neighbor_contrastive_loss',
    'neighbor_mask',
    'relaxed_contrastive_loss',
    'soft_cluster_contrastive_loss',
    'supervised_contrastive_loss',
    'weighted_regularized_triplet',
]
