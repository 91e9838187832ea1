"""DBSCAN on the k-reciprocal Jaccard distance of any descriptors, with its settings checked once."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels.clustering import dbscan
from dscreid.pseudo_labels.descriptors import tracklet_descriptors
from dscreid.pseudo_labels.jaccard import jaccard_distance
from dscreid.structures import Modality, TrackletFeatures


@dataclass(frozen=True)
class JaccardClustering:
    """Settings of a clustering that is not one of each modality, and the clustering itself.

    Attributes:
        k1: Neighbours of the Jaccard distance, at least 1.
        k2: Rows averaged in its query expansion, 1 for none.
        eps: DBSCAN radius, in (0, 1).
        min_samples: Tracklets within ``eps``, itself included, that make a core.
    """

    k1: int = 30
    k2: int = 6
    eps: float = 0.6
    min_samples: int = 4

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.eps < 1 or min(self.k1, self.k2, self.min_samples) < 1:
            raise ConfigError(f'eps must lie in (0, 1) and k1, k2, min_samples be at least 1, got {self}')

    def __call__(self, descriptors: Tensor) -> np.ndarray:
        """Cluster the rows of float (N, D), normalised inside; int64 (N,) from 0 without gaps, -1 = outlier."""
        distance = jaccard_distance(descriptors, self.k1, self.k2, max_distance=self.eps)
        return dbscan(distance, self.eps, self.min_samples)


def finite_descriptors(features: TrackletFeatures, modality: Modality) -> Tensor:
    """Descriptors of a modality's tracklets, float (N, 2 D), rows of length 1.

    Raises:
        LabelingError: A feature is not finite.
    """
    descriptors = tracklet_descriptors(features)
    broken = int((~descriptors.isfinite().all(dim=1)).sum())
    if broken:
        raise LabelingError(
            f'{broken} of {len(descriptors)} {Modality(modality).value} tracklets have NaN or infinite features: '
            'training has diverged; lower the learning rate and resume from an earlier checkpoint'
        )
    return descriptors


def check_any_cluster(owner: str, labels: np.ndarray, modality: Modality, remedy: str) -> None:
    """Refuse labels int64 (N,) of a modality without a cluster.

    Raises:
        LabelingError: All labels are -1; the message names the labeler and the remedy.
    """
    if not (labels >= 0).any():
        raise LabelingError(
            f'{owner}: none of {len(labels)} {Modality(modality).value} tracklets is in a cluster; {remedy}'
        )
