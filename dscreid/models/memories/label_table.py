"""Pseudo labels with the cluster numbers used by the memories."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_array

from dscreid.structures import Modality


class Labels(Protocol):
    """Attributes of pseudo labels that the memories read; see ``dscreid.pseudo_labels.PseudoLabels``."""

    rgb: np.ndarray
    ir: np.ndarray
    shared: bool
    cross: Any
    matches: np.ndarray | None
    soft: Mapping[Modality, Any] | None
    groups: Mapping[Modality, np.ndarray] | None
    center_modality: Modality | None


@dataclass(frozen=True)
class SoftTable:
    """Soft targets, float32 csr (N, C), and weights, float32 (N,), of all tracklets of one modality."""

    targets: csr_array
    weights: np.ndarray

    def dense_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return dense targets, float32 (n, C), and weights, float32 (n,), of the tracklets in ``rows``."""
        return self.targets[rows].toarray(), self.weights[rows]


@dataclass(frozen=True)
class LabelTable:
    """Pseudo labels whose clusters are numbered from 0 without gaps, jointly for both modalities if shared.

    Attributes:
        shared: Whether both modalities share the cluster numbers.
        own: For each modality, int64 (N,), cluster of each tracklet, -1 = outlier.
        cross: For each modality, int64 (N,), cluster of the other modality, -1 = none; None without cross labels.
        soft: For each modality, distributions over its clusters; None without soft targets.
        cross_soft: For each modality, distributions over the other modality's clusters; None without such targets.
        groups: For each modality, int64 (C,), group of each cluster; None without groups.
        matches: int64 (P, 2), pairs (visible cluster, infrared cluster); None without matches.
        center_modality: Modality whose members determine the centers of shared clusters. None uses both.
    """

    shared: bool
    own: dict[Modality, np.ndarray]
    cross: dict[Modality, np.ndarray] | None = None
    soft: dict[Modality, SoftTable] | None = None
    cross_soft: dict[Modality, SoftTable] | None = None
    groups: dict[Modality, np.ndarray] | None = None
    matches: np.ndarray | None = None
    center_modality: Modality | None = None


def number_clusters(labels: Labels) -> LabelTable:
    """Renumber the clusters that have members, and everything that refers to clusters.

    Args:
        labels: Pseudo labels whose cluster numbers may have gaps.

    Returns:
        The same labels with new numbers, in the order of the old ones.

    Raises:
        ValueError: If cross labels, matches, soft targets or groups refer to a cluster without members, do not cover
            all tracklets or clusters, or are combined with labels that they exclude. Also if ``center_modality`` is
            set but the labels are not shared or that modality lacks a member in some cluster.
    """
    raw = {Modality.RGB: labels.rgb, Modality.IR: labels.ir}
    known = {modality: np.unique(values[values >= 0]) for modality, values in raw.items()}
    if labels.shared:
        known = dict.fromkeys(raw, np.unique(np.concatenate(list(known.values()))))
    _check_combination(labels)
    other = {modality: known[modality.other] for modality in Modality}
    cross = labels.cross
    cross_soft = None if cross is None else cross.soft
    return LabelTable(
        shared=bool(labels.shared),
        own={m: _positions(raw[m], known[m], f'{m.value} labels') for m in Modality},
        cross=None if cross is None else {m: _cross(cross, m, other[m], len(raw[m])) for m in Modality},
        soft=_soft_tables(labels.soft, known, raw),
        cross_soft=_soft_tables(cross_soft, other, raw),
        groups=None if labels.groups is None else {m: _groups(labels.groups, m, known[m]) for m in Modality},
        matches=None if labels.matches is None else _matches(labels.matches, known),
        center_modality=_center_modality(labels, known),
    )


def _check_combination(labels: Labels) -> None:
    if labels.shared and not (labels.cross is None and labels.matches is None):
        raise ValueError(
            'cross labels and matches join two numberings, but the labels are shared by both modalities'
        )
    if labels.soft is not None and labels.groups is not None:
        raise ValueError('soft targets and groups exclude each other: a target may lie outside its group')


def _positions(values: np.ndarray, known: np.ndarray, what: str) -> np.ndarray:
    """Find the positions of cluster numbers in ``known`` (sorted), as int64; negative numbers become -1."""
    positions = np.searchsorted(known, values)
    given = values >= 0
    lost = np.setdiff1d(values[given], known)
    if len(lost):
        raise ValueError(f'{what} name clusters without members: {lost[:5].tolist()}')
    return np.where(given, positions, -1).astype(np.int64)


def _cross(cross: Any, modality: Modality, known: np.ndarray, num_tracklets: int) -> np.ndarray:
    values = cross.of(modality)
    if len(values) != num_tracklets:
        raise ValueError(f'{len(values)} {modality.value} cross labels for {num_tracklets} tracklets')
    return _positions(values, known, f'{modality.value} cross labels')


def _soft_tables(
    soft: Mapping[Modality, Any] | None, known: dict[Modality, np.ndarray], raw: dict[Modality, np.ndarray]
) -> dict[Modality, SoftTable] | None:
    """Restrict the soft targets of both modalities to the clusters in ``known``."""
    if soft is None:
        return None
    return {m: _soft_table(soft[m], known[m], len(raw[m]), m.value) for m in Modality}


def _soft_table(soft: Any, known: np.ndarray, num_tracklets: int, name: str) -> SoftTable:
    targets = csr_array(soft.probabilities)
    if targets.shape[0] != num_tracklets or targets.shape[1] <= known[-1]:
        raise ValueError(
            f'{name} soft targets are {targets.shape}, but there are {num_tracklets} tracklets with clusters up to '
            f'{known[-1]}'
        )
    if targets.shape[1] > len(known):
        kept = targets[:, known]
        if kept.count_nonzero() < targets.count_nonzero():
            raise ValueError(f'{name} soft targets give a share to clusters without members')
        targets = csr_array(kept)
    return SoftTable(targets.astype(np.float32), np.asarray(soft.weights, np.float32))


def _groups(groups: Mapping[Modality, np.ndarray], modality: Modality, known: np.ndarray) -> np.ndarray:
    values = np.asarray(groups[modality])
    if len(values) <= known[-1]:
        raise ValueError(
            f'{len(values)} {modality.value} groups for clusters up to {known[-1]}: one each is needed'
        )
    return values[known].astype(np.int64)


def _matches(matches: np.ndarray, known: dict[Modality, np.ndarray]) -> np.ndarray:
    if matches.ndim != 2 or matches.shape[1] != 2 or (matches < 0).any():
        raise ValueError('matches must be pairs of clusters (P, 2), none of them -1')
    sides = [_positions(matches[:, i], known[m], f'matches of {m.value}') for i, m in enumerate(Modality)]
    return np.stack(sides, axis=1)


def _center_modality(labels: Labels, known: dict[Modality, np.ndarray]) -> Modality | None:
    """Return the modality that determines the centers, after checking that it has a member in every cluster."""
    if labels.center_modality is None:
        return None
    modality = Modality(labels.center_modality)
    members = labels.rgb if modality is Modality.RGB else labels.ir
    lost = np.setdiff1d(known[modality], members)
    if not labels.shared or len(lost):
        raise ValueError(
            f'centres of {modality.value} members alone need shared labels and such a member in each cluster; clusters '
            f'without: {lost[:5].tolist()}'
        )
    return modality
