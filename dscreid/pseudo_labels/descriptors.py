"""One descriptor per tracklet, and helpers for methods with a separate cluster numbering per modality."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dscreid.errors import ConfigError, LabelingError
from dscreid.neighbors.knn import as_feature_matrix, normalized_rows
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures


def joined_halves(features: TrackletFeatures) -> Tensor:
    """Float (N, 2 D): both halves L2-normalized, then concatenated, so that they have the same weight."""
    return torch.cat(
        [functional.normalize(half, dim=1) for half in (features.static, features.dynamic)], dim=1
    )


def tracklet_descriptors(features: TrackletFeatures) -> Tensor:
    """Float (N, 2 D): both halves L2-normalized, concatenated, and L2-normalized again."""
    return normalized_rows(joined_halves(features))


def mean_descriptors(descriptors: Tensor | np.ndarray, labels: np.ndarray) -> Tensor:
    """Compute the mean of each cluster's descriptors, without normalization.

    Args:
        descriptors: Float (N, D).
        labels: int64 (N,), clusters numbered from 0 without gaps. Outliers (-1) are ignored.

    Returns:
        Float (C, D) on the CPU, where the order of summation is fixed.

    Raises:
        ValueError: If a number below the largest label has no member, or descriptors are not finite.
    """
    descriptors = as_feature_matrix(descriptors, 'descriptors').cpu()
    labels = torch.from_numpy(np.asarray(labels, np.int64))
    member = labels >= 0
    sizes = torch.bincount(labels[member])
    if (sizes == 0).any():
        raise ValueError('clusters must be numbered from 0 without gaps')
    sums = descriptors.new_zeros(len(sizes), descriptors.shape[1])
    return sums.index_add_(0, labels[member], descriptors[member]) / sizes[:, None]


def build_clustering(owner: str, config: Mapping) -> Callable:
    """Build the labeler that forms the clusters of a method with two numberings.

    Args:
        owner: Name of the labeler that uses it, for error messages.
        config: Config of a labeler.

    Raises:
        ConfigError: If the labeler needs a context in addition to the features.
    """
    clustering = LABELERS.build(dict(config))
    if getattr(clustering, 'needs_context', False):
        raise ConfigError(
            f'{owner}: {type(clustering).__name__} cannot be its clustering, since it needs more than the features; '
            'use ClusterLabeler'
        )
    return clustering


def cluster_separately(
    owner: str, clustering: Callable, visible: TrackletFeatures, infrared: TrackletFeatures
) -> PseudoLabels:
    """Cluster both modalities, each with its own numbering from 0 without gaps.

    Args:
        owner: Name of the calling labeler, for error messages.
        clustering: A labeler.
        visible: Features of the Nv visible tracklets.
        infrared: Features of the Nt infrared tracklets.

    Returns:
        Only the labels of the clustering, renumbered if they have gaps.

    Raises:
        ConfigError: If the clustering uses one numbering for both modalities.
        LabelingError: If a modality has no cluster.
    """
    clusters = clustering(visible, infrared)
    if clusters.shared:
        raise ConfigError(
            f'{owner}: {type(clustering).__name__} gives both modalities one numbering, which leaves nothing to match; '
            'use ClusterLabeler as its clustering'
        )
    for modality in Modality:
        if not clusters.num_clusters(modality):
            raise LabelingError(
                f'{owner}: none of {len(clusters.of(modality))} {modality.value} tracklets is in a cluster; '
                'loosen the clustering (larger eps, smaller min_samples)'
            )
    return PseudoLabels(rgb=_gapless(clusters.rgb), ir=_gapless(clusters.ir), shared=False)


def other_modality(modality: Modality) -> Modality:
    """Infrared for visible, and visible for infrared."""
    return Modality.IR if Modality(modality) is Modality.RGB else Modality.RGB


def _gapless(labels: np.ndarray) -> np.ndarray:
    """Renumber clusters from 0 without gaps, in the same order; -1 stays."""
    known = np.unique(labels[labels >= 0])
    return np.where(labels >= 0, np.searchsorted(known, labels), -1).astype(np.int64)
