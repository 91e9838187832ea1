"""Pseudo labels of both modalities."""

from dataclasses import dataclass

import numpy as np

from dscreid.structures import Modality


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """Pseudo labels of every training tracklet.

    Attributes:
        rgb: int64 (Nv,), clusters of the visible tracklets, -1 = outlier.
        ir: int64 (Nt,), clusters of the infrared tracklets, -1 = outlier.
        shared: Whether equal numbers in both modalities name one cluster. False: two unrelated numberings.
    """

    rgb: np.ndarray
    ir: np.ndarray
    shared: bool

    def __post_init__(self) -> None:
        """Check dtypes, shapes and range."""
        for modality in Modality:
            labels = self.of(modality)
            if not isinstance(labels, np.ndarray) or labels.dtype != np.int64 or labels.ndim != 1:
                raise TypeError(f'{modality.value} labels must be a one-dimensional int64 numpy array')
            if len(labels) and labels.min() < -1:
                raise ValueError(f'{modality.value} labels must be >= -1, got {labels.min()}')

    def of(self, modality: Modality) -> np.ndarray:
        """int64 (N,), the labels of one modality."""
        return self.rgb if Modality(modality) is Modality.RGB else self.ir

    def num_clusters(self, modality: Modality) -> int:
        """Number of clusters that have at least one member in the modality."""
        labels = self.of(modality)
        return len(np.unique(labels[labels >= 0]))

    def labelled_share(self, modality: Modality) -> float:
        """Share of the modality's tracklets that are no outliers, in [0, 1]; 0 without tracklets."""
        labels = self.of(modality)
        return float((labels >= 0).mean()) if len(labels) else 0.0

    def cluster_sizes(self, modality: Modality) -> np.ndarray:
        """int64 (num_clusters,), members of each cluster of the modality, descending."""
        labels = self.of(modality)
        return np.sort(np.unique(labels[labels >= 0], return_counts=True)[1])[::-1]

    def summary(self) -> str:
        """One line for the log: clusters, median size and labelled share of both modalities."""
        parts = [f'{m.value} {self._describe(m)}' for m in Modality]
        return f'{"; ".join(parts)}; {"one shared numbering" if self.shared else "separate numberings"}'

    def _describe(self, modality: Modality) -> str:
        sizes = self.cluster_sizes(modality)
        median = f' of median size {np.median(sizes):g}' if len(sizes) else ''
        share = f'{self.labelled_share(modality):.1%} of {len(self.of(modality))} tracklets labelled'
        return f'{len(sizes)} clusters{median}, {share}'
