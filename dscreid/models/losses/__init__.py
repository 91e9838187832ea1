"""Losses as pure functions, and thin modules around them for use in configs."""

from dscreid.models.losses.anaglyph_losses import EasyPositiveLoss, TranslationLoss
from dscreid.models.losses.frame_losses import DistillationLoss, FrameDistanceLoss
from dscreid.models.losses.functional import (
    cluster_contrastive_loss,
    image_text_contrastive_loss,
    neighbor_contrastive_loss,
    neighbor_mask,
    soft_cluster_contrastive_loss,
    supervised_contrastive_loss,
)
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.losses.mean_hard import MeanHardContrastiveLoss, mean_hard_contrastive_loss
from dscreid.models.losses.method_losses import (
    DenseTripletLoss,
    GrowingIdentityLoss,
    ModalityConfusionLoss,
    ModalityDistanceLoss,
    VersionOrthogonalityLoss,
)
from dscreid.models.losses.modules import ClusterContrastiveLoss, CrossClusterLoss, NeighborContrastiveLoss
from dscreid.models.losses.relaxed import RelaxedContrastiveLoss, relaxed_contrastive_loss
from dscreid.models.losses.robust import CleanIdentityLoss, RobustTripletLoss, clean_probabilities, robust_triplet
from dscreid.models.losses.supervised import (
    BatchHardTripletLoss,
    BatchLoss,
    CenterTripletLoss,
    IdentityLoss,
    SupervisedContrastiveLoss,
    WeightedTripletLoss,
)
from dscreid.models.losses.triplets import (
    batch_hard_triplet,
    center_triplet,
    squared_weighted_triplet,
    weighted_regularized_triplet,
)

__all__ = [
    'BatchHardTripletLoss',
    'BatchLoss',
    'CenterTripletLoss',
    'CleanIdentityLoss',
    'ClusterContrastiveLoss',
    'CrossClusterLoss',
    'DenseTripletLoss',
    'DistillationLoss',
    'EasyPositiveLoss',
    'FrameDistanceLoss',
    'GrowingIdentityLoss',
    'IdentityLoss',
    'LabeledBatch',
    'MeanHardContrastiveLoss',
    'ModalityConfusionLoss',
    'ModalityDistanceLoss',
    'NeighborContrastiveLoss',
    'RelaxedContrastiveLoss',
    'RobustTripletLoss',
    'SupervisedContrastiveLoss',
    'TranslationLoss',
    'VersionOrthogonalityLoss',
    'WeightedTripletLoss',
    'batch_hard_triplet',
    'center_triplet',
    'clean_probabilities',
    'cluster_contrastive_loss',
    'image_text_contrastive_loss',
    'mean_hard_contrastive_loss',
    'neighbor_contrastive_loss',
    'neighbor_mask',
    'relaxed_contrastive_loss',
    'robust_triplet',
    'soft_cluster_contrastive_loss',
    'squared_weighted_triplet',
    'supervised_contrastive_loss',
    'weighted_regularized_triplet',
]
