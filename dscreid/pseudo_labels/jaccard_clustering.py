"""DBSCAN on k-reciprocal Jaccard distances of any descriptors, its settings checked, or chosen, in one place."""

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

#: In the place of a number: choose it from the density of the features, each time.
AUTO = 'auto'


@dataclass(frozen=True)
class JaccardClustering:
    """Settings of a clustering, and the clustering itself.

    Each may be ``'auto'``: chosen without labels, for each set of descriptors anew, from how many tracklets an identity
    seems to have (:func:`dscreid.pseudo_labels.choose_settings`), and logged. With a fixed ``k1`` the others follow
    from it.

    Attributes:
        k1: Neighbors of the Jaccard distance, at least 1.
        k2: Rows averaged in its query expansion, 1 for none.
        eps: DBSCAN radius, in (0, 1).
        min_samples: Tracklets within ``eps``, itself included, that make a core.
    """

    k1: int | str = 30
    k2: int | str = 6
    eps: float | str = 0.6
    min_samples: int | str = 4

    def __post_init__(self) -> None:
        """Check the ranges."""
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
        """The settings that are not left to the data."""
        return {name: value for name, value in asdict(self).items() if value != AUTO}

    @property
    def fewest(self) -> int:
        """Fewest tracklets that can make a cluster."""
        return 2 if self.min_samples == AUTO else self.min_samples

    def settings(self, descriptors: Tensor, name: str | None = None) -> ClusteringSettings:
        """The fixed settings, or those that descriptors ask for.

        Args:
            descriptors: Float (N, D), normalized inside.
            name: What the log calls the descriptors; None keeps a choice out of the log.
        """
        fixed = self.fixed
        if len(fixed) == len(asdict(self)):
            return ClusteringSettings(**fixed)
        return _logged(choose_settings(descriptors, **fixed), name)

    def __call__(self, descriptors: Tensor, name: str | None = None) -> np.ndarray:
        """Cluster the rows of float (N, D), normalized inside; int64 (N,) from 0 without gaps, -1 = outlier."""
        return cluster(descriptors, self.settings(descriptors, name))


def clustering_of(owner: str, **settings: Any) -> JaccardClustering:
    """The clustering of a labeler.

    Args:
        owner: The labeler's name, for the message.
        settings: Fields of ``JaccardClustering``.

    Raises:
        ConfigError: A setting is out of range; the message names the labeler.
    """
    try:
        return JaccardClustering(**settings)
    except ConfigError as error:
        raise ConfigError(f'{owner}: {error}') from None


def _is_number(name: str, value: object) -> bool:
    """Whether a setting has its type; True and False have none."""
    return isinstance(value, (int, float) if name == 'eps' else int) and not isinstance(value, bool)


def settings_of_modalities(
    clusterings: Mapping[Modality, JaccardClustering], descriptors: Mapping[Modality, Tensor]
) -> dict[Modality, ClusteringSettings]:
    """The settings of two modalities that show the same people; the clearer one decides where ``k1`` is open in both.

    Args:
        clusterings: Settings by modality.
        descriptors: By modality float (N, D), normalized inside.
    """
    if any('k1' in clustering.fixed for clustering in clusterings.values()):
        return {m: clusterings[m].settings(descriptors[m], m.value) for m in clusterings}
    choices = choose_for_same_people(
        [descriptors[m] for m in clusterings], [clustering.fixed for clustering in clusterings.values()]
    )
    return {m: _logged(choice, m.value) for m, choice in zip(clusterings, choices, strict=True)}


def _logged(choice: DensityChoice, name: str | None) -> ClusteringSettings:
    """The settings of a choice, which the log learns where the descriptors have a name."""
    if name is not None:
        note = ' (the smallest: no number of neighbors gives two clusters)' if choice.silent else ''
        print_log(f'clustering of {name}: {choice.settings}{note}', logger='current')
    return choice.settings


def cluster(descriptors: Tensor, settings: ClusteringSettings) -> np.ndarray:
    """Cluster the rows of float (N, D), normalized inside; int64 (N,) from 0 without gaps, -1 = outlier."""
    num_neighbors = clipped(settings.k1, len(descriptors), 'k1')
    return cluster_neighbors(*nearest_tracklets(descriptors, num_neighbors), settings)


def finite_descriptors(features: TrackletFeatures, modality: Modality) -> Tensor:
    """Descriptors of a modality's tracklets, float (N, 2 D), rows of length 1.

    Raises:
        LabelingError: A feature is not finite.
    """
    descriptors = tracklet_descriptors(features)
    check_finite(descriptors, modality)
    return descriptors


def check_finite(descriptors: Tensor, modality: Modality) -> None:
    """Refuse descriptors float (N, D) of a modality that training has spoilt.

    Raises:
        LabelingError: A row is not finite.
    """
    broken = int((~torch.isfinite(descriptors).all(dim=1)).sum())
    if broken:
        raise LabelingError(
            f'{broken} of {len(descriptors)} {Modality(modality).value} tracklets have NaN or infinite features: '
            'training has diverged; lower the learning rate and resume from an earlier checkpoint'
        )


def check_any_cluster(owner: str, labels: np.ndarray, modality: Modality, remedy: str) -> None:
    """Refuse labels int64 (N,) of a modality without a cluster.

    Raises:
        LabelingError: All labels are -1; the message names the labeler and the remedy.
    """
    if not (labels >= 0).any():
        raise LabelingError(
            f'{owner}: none of {len(labels)} {Modality(modality).value} tracklets is in a cluster; {remedy}'
        )
