"""DBSCAN on k-reciprocal Jaccard distances of any descriptors, with settings that are given or chosen from the data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError, LabelingError
from dscreid.neighbors.jaccard import nearest_tracklets
from dscreid.neighbors.knn import clipped
from dscreid.pseudo_labels.clustering_settings import ClusteringSettings, cluster_neighbors
from dscreid.pseudo_labels.density import DensityChoice, choose_for_same_people, choose_settings
from dscreid.pseudo_labels.descriptors import tracklet_descriptors
from dscreid.structures import Modality, TrackletFeatures

#: Value of a setting that is chosen from the density of the features in every call.
AUTO = 'auto'


@dataclass(frozen=True)
class JaccardClustering:
    """A clustering with its settings.

    Each setting may be ``'auto'``. It is then chosen without labels for each set of descriptors, from the
    estimated number of tracklets per identity (:func:`dscreid.pseudo_labels.choose_settings`), and logged. If
    ``k1`` is fixed, the other ``'auto'`` values follow from it.

    Attributes:
        k1: Number of neighbors in the Jaccard distance, at least 1.
        k2: Number of rows averaged in its query expansion, 1 for none.
        eps: DBSCAN radius, in (0, 1).
        min_samples: Number of tracklets within ``eps``, including the tracklet itself, that make it a core
            point.
    """

    k1: int | str = 30
    k2: int | str = 6
    eps: float | str = 0.6
    min_samples: int | str = 4

    def __post_init__(self) -> None:
        """Check types and ranges."""
        fixed = self.fixed
        wrong = {name: value for name, value in fixed.items() if not _is_number(name, value)}
        if wrong:
            raise ConfigError(
                f"k1, k2 and min_samples are integers, eps is a number, or '{AUTO}'; got {wrong}"
            )
        counts = [value for name, value in fixed.items() if name != 'eps']
        if not 0 < fixed.get('eps', 0.5) < 1 or min(counts, default=1) < 1:
            raise ConfigError(f'eps must lie in (0, 1) and k1, k2, min_samples be at least 1, got {self}')

    @property
    def fixed(self) -> Mapping[str, float]:
        """Settings that are not ``'auto'``."""
        return {name: value for name, value in asdict(self).items() if value != AUTO}

    @property
    def fewest(self) -> int:
        """Smallest number of tracklets that can form a cluster."""
        return 2 if self.min_samples == AUTO else self.min_samples

    def settings(self, descriptors: Tensor, name: str | None = None) -> ClusteringSettings:
        """Return the fixed settings, with ``'auto'`` values chosen from the descriptors.

        Args:
            descriptors: Float (N, D), normalized internally.
            name: Name of the descriptors in the log. None does not log the choice.
        """
        fixed = self.fixed
        if len(fixed) == len(asdict(self)):
            return ClusteringSettings(**fixed)
        return _logged(choose_settings(descriptors, **fixed), name)

    def __call__(self, descriptors: Tensor, name: str | None = None) -> np.ndarray:
        """Cluster float (N, D), normalized internally; int64 (N,) from 0 without gaps, -1 = outlier."""
        return cluster(descriptors, self.settings(descriptors, name))


def clustering_of(owner: str, **settings: Any) -> JaccardClustering:
    """Create the clustering of a labeler.

    Args:
        owner: Name of the labeler, for the error message.
        settings: Fields of ``JaccardClustering``.

    Raises:
        ConfigError: If a setting is out of range. The message names the labeler.
    """
    try:
        return JaccardClustering(**settings)
    except ConfigError as error:
        raise ConfigError(f'{owner}: {error}') from None


def _is_number(name: str, value: object) -> bool:
    """Check the type of a setting; booleans are not accepted."""
    return isinstance(value, (int, float) if name == 'eps' else int) and not isinstance(value, bool)


def settings_of_modalities(
    clusterings: Mapping[Modality, JaccardClustering], descriptors: Mapping[Modality, Tensor]
) -> dict[Modality, ClusteringSettings]:
    """Choose settings for modalities that show the same people; if ``k1`` is open in all, the clearest decides.

    Args:
        clusterings: Settings by modality.
        descriptors: Maps each modality to float (N, D), normalized internally.
    """
    if any('k1' in clustering.fixed for clustering in clusterings.values()):
        return {m: clusterings[m].settings(descriptors[m], m.value) for m in clusterings}
    choices = choose_for_same_people(
        [descriptors[m] for m in clusterings], [clustering.fixed for clustering in clusterings.values()]
    )
    return {m: _logged(choice, m.value) for m, choice in zip(clusterings, choices, strict=True)}


def _logged(choice: DensityChoice, name: str | None) -> ClusteringSettings:
    """Return the settings of a choice, and log them if the descriptors have a name."""
    if name is not None:
        note = ' (the smallest: no number of neighbors gives two clusters)' if choice.silent else ''
        print_log(f'clustering of {name}: {choice.settings}{note}', logger='current')
    return choice.settings


def cluster(descriptors: Tensor, settings: ClusteringSettings) -> np.ndarray:
    """Cluster float (N, D), normalized internally; int64 (N,) from 0 without gaps, -1 = outlier."""
    num_neighbors = clipped(settings.k1, len(descriptors), 'k1')
    return cluster_neighbors(*nearest_tracklets(descriptors, num_neighbors), settings)


def finite_descriptors(features: TrackletFeatures, modality: Modality) -> Tensor:
    """Compute the descriptors of a modality's tracklets, float (N, 2 D), rows of length 1.

    Raises:
        LabelingError: If a feature is not finite.
    """
    descriptors = tracklet_descriptors(features)
    check_finite(descriptors, modality)
    return descriptors


def check_finite(descriptors: Tensor, modality: Modality) -> None:
    """Check that float (N, D) descriptors of a modality are finite.

    Raises:
        LabelingError: If a row is not finite.
    """
    broken = int((~torch.isfinite(descriptors).all(dim=1)).sum())
    if broken:
        raise LabelingError(
            f'{broken} of {len(descriptors)} {Modality(modality).value} tracklets have NaN or infinite features: '
            'training has diverged; lower the learning rate and resume from an earlier checkpoint'
        )


def check_any_cluster(owner: str, labels: np.ndarray, modality: Modality, remedy: str) -> None:
    """Check that int64 (N,) labels of a modality contain a cluster.

    Raises:
        LabelingError: If all labels are -1. The message names the labeler and the remedy.
    """
    if not (labels >= 0).any():
        raise LabelingError(
            f'{owner}: none of {len(labels)} {Modality(modality).value} tracklets is in a cluster; {remedy}'
        )
