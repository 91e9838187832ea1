"""Pseudo labels of both modalities, and additional data of individual methods."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from dscreid.structures import Modality


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """Distributions over the clusters of one numbering, for the tracklets of one modality.

    Attributes:
        probabilities: float32 csr (N, C). A row sums to 1, or is empty if the tracklet has no target.
        weights: float32 (N,), in [0, 1], the weight of each tracklet in the loss.
    """

    probabilities: csr_array
    weights: np.ndarray

    def __post_init__(self) -> None:
        """Check that both have the same number of tracklets."""
        if self.probabilities.shape[0] != len(self.weights):
            raise ValueError(
                f'{self.probabilities.shape[0]} soft targets but {len(self.weights)} weights: one each per tracklet'
            )


@dataclass(frozen=True, slots=True)
class CrossLabels:
    """For every tracklet, a cluster of the *other* modality.

    Attributes:
        rgb: int64 (Nv,), infrared clusters of the visible tracklets, -1 = none.
        ir: int64 (Nt,), visible clusters of the infrared tracklets, -1 = none.
        soft: Distributions over the other modality's clusters, by the modality of the tracklets. None if
            there are only hard labels.
    """

    rgb: np.ndarray
    ir: np.ndarray
    soft: Mapping[Modality, SoftTargets] | None = None

    def __post_init__(self) -> None:
        """Check dtypes, shapes and range."""
        for modality in Modality:
            _check_labels(self.of(modality), f'{modality.value} cross labels')

    def of(self, modality: Modality) -> np.ndarray:
        """int64 (N,), clusters of the other modality for the tracklets of ``modality``."""
        return self.rgb if Modality(modality) is Modality.RGB else self.ir


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """Pseudo labels of every training tracklet.

    Attributes:
        rgb: int64 (Nv,), clusters of the visible tracklets, -1 = outlier.
        ir: int64 (Nt,), clusters of the infrared tracklets, -1 = outlier.
        shared: If True, equal numbers in both modalities denote the same cluster. If False, the two
            numberings are unrelated.
        cross: Clusters of the other modality, for methods that match two numberings.
        matches: int64 (P, 2), pairs (visible cluster, infrared cluster) whose centers are aggregated when the
            memories are built.
        soft: Distributions over the clusters of the same modality, by modality. None if there are only hard
            labels.
        groups: Maps each modality to int64 (C,), the group of each cluster. A cluster is only contrasted with
            clusters of its group. None contrasts it with all clusters.
        center_modality: Modality whose members form the centers of shared clusters. None uses the members of
            both modalities.
    """

    rgb: np.ndarray
    ir: np.ndarray
    shared: bool
    cross: CrossLabels | None = None
    matches: np.ndarray | None = None
    soft: Mapping[Modality, SoftTargets] | None = None
    groups: Mapping[Modality, np.ndarray] | None = None
    center_modality: Modality | None = None

    def __post_init__(self) -> None:
        """Check dtypes, shapes and range."""
        for modality in Modality:
            _check_labels(self.of(modality), f'{modality.value} labels')

    def of(self, modality: Modality) -> np.ndarray:
        """int64 (N,), the labels of one modality."""
        return self.rgb if Modality(modality) is Modality.RGB else self.ir

    def num_clusters(self, modality: Modality) -> int:
        """Number of clusters with at least one member in the modality."""
        labels = self.of(modality)
        return len(np.unique(labels[labels >= 0]))

    def labelled_share(self, modality: Modality) -> float:
        """Share of the modality's tracklets that are not outliers, in [0, 1]; 0 without tracklets."""
        labels = self.of(modality)
        return float((labels >= 0).mean()) if len(labels) else 0.0

    def cluster_sizes(self, modality: Modality) -> np.ndarray:
        """int64 (num_clusters,), number of members of each cluster in the modality, descending."""
        labels = self.of(modality)
        return np.sort(np.unique(labels[labels >= 0], return_counts=True)[1])[::-1]

    def summary(self) -> str:
        """Summarize clusters, median size and labeled share of both modalities in one line for the log."""
        parts = [f'{m.value} {self._describe(m)}' for m in Modality]
        return f'{"; ".join(parts)}; {"one shared numbering" if self.shared else "separate numberings"}'

    def _describe(self, modality: Modality) -> str:
        sizes = self.cluster_sizes(modality)
        median = f' of median size {np.median(sizes):g}' if len(sizes) else ''
        share = f'{self.labelled_share(modality):.1%} of {len(self.of(modality))} tracklets labelled'
        return f'{len(sizes)} clusters{median}, {share}'


def _check_labels(labels: np.ndarray, name: str) -> None:
    if not isinstance(labels, np.ndarray) or labels.dtype != np.int64 or labels.ndim != 1:
        raise TypeError(f'{name} must be a one-dimensional int64 numpy array')
    if len(labels) and labels.min() < -1:
        raise ValueError(f'{name} must be >= -1, got {labels.min()}')


def outliers_alone(labels: np.ndarray) -> np.ndarray:
    """Turn each outlier (-1) of int64 (N,) labels into its own cluster, numbered after the others."""
    alone = labels.copy()
    outliers = alone < 0
    alone[outliers] = alone.max(initial=-1) + 1 + np.arange(outliers.sum())
    return alone
