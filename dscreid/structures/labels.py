"""Pseudo labels of both modalities, with additional data of individual methods, from the labeler to the memories."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from dscreid.structures.tracklet import Modality


class _Labels:
    __slots__ = ()
    rgb: np.ndarray
    ir: np.ndarray

    def of(self, modality: Modality) -> np.ndarray:
        """int64 (N,), the labels of the tracklets of ``modality``."""
        return self.rgb if Modality(modality) is Modality.RGB else self.ir

    def _check(self, what: str) -> None:
        for modality in Modality:
            labels = self.of(modality)
            if not isinstance(labels, np.ndarray) or labels.dtype != np.int64 or labels.ndim != 1:
                raise TypeError(f'{modality.value} {what} must be a one-dimensional int64 numpy array')
            if labels.min(initial=0) < -1:
                raise ValueError(f'{modality.value} {what} must be >= -1, got {labels.min()}')


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
        if self.probabilities.shape[0] != len(self.weights):
            raise ValueError(
                f'{self.probabilities.shape[0]} soft targets, {len(self.weights)} weights: one each per tracklet'
            )

    def dense_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return dense probabilities, float32 (n, C), and weights, float32 (n,), of the tracklets in ``rows``."""
        return self.probabilities[rows].toarray(), self.weights[rows]


@dataclass(frozen=True, slots=True)
class CrossLabels(_Labels):
    """For every tracklet, a cluster of the *other* modality.

    Attributes:
        rgb: int64 (Nv,), infrared clusters of the visible tracklets, -1 = none.
        ir: int64 (Nt,), visible clusters of the infrared tracklets, -1 = none.
        soft: Distributions over the other modality's clusters, by the modality of the tracklets; None without.
    """

    rgb: np.ndarray
    ir: np.ndarray
    soft: Mapping[Modality, SoftTargets] | None = None

    def __post_init__(self) -> None:
        self._check('cross labels')


@dataclass(frozen=True, slots=True)
class PseudoLabels(_Labels):
    """Pseudo labels of every training tracklet.

    Attributes:
        rgb: int64 (Nv,), clusters of the visible tracklets, -1 = outlier.
        ir: int64 (Nt,), clusters of the infrared tracklets, -1 = outlier.
        shared: Whether equal numbers in both modalities denote the same cluster.
        cross: Clusters of the other modality, for methods that match two numberings.
        matches: int64 (P, 2), pairs (visible, infrared) of clusters whose centers the memories aggregate.
        partners: int64 (C,), the visible cluster with whose center a hybrid memory averages that of each infrared one.
        soft: Distributions over the clusters of the same modality, by modality; None without.
        groups: By modality int64 (C,), the group of each cluster, which is only contrasted within it; None for all.
        center_modality: Modality whose members form the centers of shared clusters; None for both.
        center_labels: By modality int64 (N,), the clusters whose members form the centers; None if the labels do.
        joint: By modality int64 (N,), clusters over both modalities in one numbering, beside the labels, -1 = none.
    """

    rgb: np.ndarray
    ir: np.ndarray
    shared: bool
    cross: CrossLabels | None = None
    matches: np.ndarray | None = None
    partners: np.ndarray | None = None
    soft: Mapping[Modality, SoftTargets] | None = None
    groups: Mapping[Modality, np.ndarray] | None = None
    center_modality: Modality | None = None
    center_labels: Mapping[Modality, np.ndarray] | None = None
    joint: Mapping[Modality, np.ndarray] | None = None

    def __post_init__(self) -> None:
        self._check('labels')

    def centers_of(self, modality: Modality) -> np.ndarray:
        """int64 (N,), the clusters of the tracklets of ``modality`` whose members form the centers, -1 = none."""
        return self.of(modality) if self.center_labels is None else self.center_labels[Modality(modality)]

    def num_clusters(self, modality: Modality) -> int:
        """Number of clusters with at least one member in the modality."""
        return len(self.cluster_sizes(modality))

    def labelled_share(self, modality: Modality) -> float:
        """Share of the modality's tracklets that are not outliers, in [0, 1]; 0 without tracklets."""
        labels = self.of(modality)
        return float((labels >= 0).mean()) if len(labels) else 0.0

    def unified_share(self, modality: Modality) -> float:
        """Share of the modality's tracklets whose label the other modality has too, in [0, 1]; 0 without tracklets."""
        labels, others = self.of(modality), self.of(Modality(modality).other)
        unified = np.isin(labels, others) & (labels >= 0) & self.shared
        return float(unified.mean()) if len(labels) else 0.0

    def cluster_sizes(self, modality: Modality) -> np.ndarray:
        """int64 (num_clusters,), number of members of each cluster in the modality, descending."""
        labels = self.of(modality)
        return np.sort(np.unique(labels[labels >= 0], return_counts=True)[1])[::-1]

    def numbered(self) -> 'PseudoLabels':
        """Renumber the clusters from 0 without gaps, in the same order, jointly for both modalities if shared.

        Raises:
            ValueError: If a part refers to a cluster without members, does not cover all tracklets or clusters, or is
                combined with labels that it excludes.
        """
        if self.shared and not (self.cross is self.matches is self.partners is None):
            raise ValueError('cross labels, matches and partners relate two numberings, but the labels are shared')
        if self.soft is not None and self.groups is not None:
            raise ValueError('labels cannot have both soft targets and groups')
        own = {m: self.centers_of(m) for m in Modality}
        for m, labels in own.items():
            if len(labels) != len(self.of(m)):
                raise ValueError(f'{len(labels)} {m.value} center labels for {len(self.of(m))} tracklets')
        known = {m: np.unique(labels[labels >= 0]) for m, labels in own.items()}
        if self.shared:
            known = dict.fromkeys(known, np.union1d(*known.values()))
        if self.center_modality is not None:
            modality = Modality(self.center_modality)
            lost = np.setdiff1d(known[modality], own[modality])
            if not self.shared or len(lost):
                raise ValueError(
                    f'center_modality={modality.value} needs shared labels with such members; clusters without: '
                    f'{lost[:5].tolist()}'
                )
        rgb, ir = (_positions(self.of(m), known[m], f'{m.value} labels') for m in Modality)
        centers = self.center_labels and {m: _positions(own[m], known[m], 'center labels') for m in Modality}
        return replace(
            self,
            rgb=rgb,
            ir=ir,
            center_labels=centers,
            cross=self.cross and self._numbered_cross({m: known[m.other] for m in Modality}),
            matches=None if self.matches is None else _numbered_matches(self.matches, known),
            partners=None if self.partners is None else _numbered_partners(self.partners, known),
            soft=self._numbered_soft(self.soft, known),
            groups=self.groups and {m: _numbered_groups(self.groups[m], known[m], m.value) for m in Modality},
            joint=self.joint and self._numbered_joint(self.joint),
        )

    def _numbered_joint(self, joint: Mapping[Modality, np.ndarray]) -> Mapping[Modality, np.ndarray]:
        for m in Modality:
            if len(joint[m]) != len(self.of(m)):
                raise ValueError(f'{len(joint[m])} {m.value} joint labels for {len(self.of(m))} tracklets')
        together = np.concatenate([joint[m] for m in Modality])
        known = np.unique(together[together >= 0])
        return {m: _positions(joint[m], known, 'joint labels') for m in Modality}

    def _numbered_cross(self, others: Mapping[Modality, np.ndarray]) -> CrossLabels:
        cross = self.cross
        assert cross is not None
        for m in Modality:
            if len(cross.of(m)) != len(self.of(m)):
                raise ValueError(f'{len(cross.of(m))} {m.value} cross labels for {len(self.of(m))} tracklets')
        rgb, ir = (_positions(cross.of(m), others[m], f'{m.value} cross labels') for m in Modality)
        return CrossLabels(rgb, ir, self._numbered_soft(cross.soft, others))

    def _numbered_soft(
        self, soft: Mapping[Modality, SoftTargets] | None, known: Mapping[Modality, np.ndarray]
    ) -> Mapping[Modality, SoftTargets] | None:
        return soft and {m: _numbered_targets(soft[m], known[m], len(self.of(m)), m.value) for m in Modality}

    def summary(self) -> str:
        """Summarize clusters, median size and labeled share of both modalities in one line for the log."""
        parts = []
        for modality in Modality:
            sizes = self.cluster_sizes(modality)
            median = f' of median size {np.median(sizes):g}' if len(sizes) else ''
            share = f'{self.labelled_share(modality):.1%} of {len(self.of(modality))} tracklets labeled'
            parts.append(f'{modality.value} {len(sizes)} clusters{median}, {share}')
        unified = f'one shared numbering, {self.unified_share(Modality.RGB):.1%} of rgb with a label of ir'
        return '; '.join([*parts, unified if self.shared else 'separate numberings'])


def _positions(values: np.ndarray, known: np.ndarray, what: str) -> np.ndarray:
    """Find the positions of cluster numbers in ``known`` (sorted), as int64; negative numbers become -1."""
    given = values >= 0
    lost = np.setdiff1d(values[given], known)
    if len(lost):
        raise ValueError(f'{what} name clusters without members: {lost[:5].tolist()}')
    return np.where(given, np.searchsorted(known, values), -1).astype(np.int64)


def _numbered_targets(soft: SoftTargets, known: np.ndarray, num_tracklets: int, name: str) -> SoftTargets:
    targets = csr_array(soft.probabilities)
    if targets.shape[0] != num_tracklets or targets.shape[1] <= known[-1]:
        counts = f'{num_tracklets} tracklets with clusters up to {known[-1]}'
        raise ValueError(f'{name} soft targets are {targets.shape}, but there are {counts}')
    if targets.shape[1] > len(known):
        kept = csr_array(targets[:, known])
        if kept.count_nonzero() < targets.count_nonzero():
            raise ValueError(f'{name} soft targets give a share to clusters without members')
        targets = kept
    return SoftTargets(targets.astype(np.float32), np.asarray(soft.weights, np.float32))


def _numbered_groups(groups: np.ndarray, known: np.ndarray, name: str) -> np.ndarray:
    if len(groups) <= known[-1]:
        raise ValueError(f'{len(groups)} {name} groups for clusters up to {known[-1]}')
    return np.asarray(groups)[known].astype(np.int64)


def _numbered_matches(matches: np.ndarray, known: Mapping[Modality, np.ndarray]) -> np.ndarray:
    if matches.ndim != 2 or matches.shape[1] != 2 or (matches < 0).any():
        raise ValueError('matches must be pairs of clusters (P, 2), none of them -1')
    sides = [_positions(matches[:, i], known[m], f'matches of {m.value}') for i, m in enumerate(Modality)]
    return np.stack(sides, axis=1)


def _numbered_partners(partners: np.ndarray, known: Mapping[Modality, np.ndarray]) -> np.ndarray:
    infrared = known[Modality.IR]
    if len(partners) <= infrared[-1] or (partners[infrared] < 0).any():
        raise ValueError(f'every infrared cluster up to {infrared[-1]} needs a visible partner, got {partners}')
    return _positions(partners[infrared], known[Modality.RGB], 'partners')


def outliers_alone(labels: np.ndarray) -> np.ndarray:
    """Turn each outlier (-1) of int64 (N,) labels into its own cluster, numbered after the others."""
    alone = labels.copy()
    outliers = alone < 0
    alone[outliers] = alone.max(initial=-1) + 1 + np.arange(outliers.sum())
    return alone
