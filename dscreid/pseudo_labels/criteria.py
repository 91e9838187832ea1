"""Label-free criteria that estimate the quality of an epoch's weights from unlabeled target features only.

Each value lies in [-1, 1], higher is better, and NaN means undefined. A clustering that has collapsed into a few
clusters still scores well in cycle consistency, agreement and stability, so check the number of clusters, too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from dscreid.errors import LabelingError
from dscreid.neighbors.knn import knn
from dscreid.pseudo_labels.clustering.silhouette import silhouette
from dscreid.pseudo_labels.descriptors import modality_descriptors
from dscreid.pseudo_labels.labelers.base import Labeler
from dscreid.pseudo_labels.quality import quiet_score
from dscreid.registry import CRITERIA
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures


@dataclass(frozen=True)
class JudgedRound:
    """Features and labels of one round of labeling, as criteria see it, and the labels of the round before.

    ``clustering`` is a labeler that concatenates static and dynamic features, such as ``ClusterLabeler``.
    """

    visible: TrackletFeatures
    infrared: TrackletFeatures
    labels: PseudoLabels
    previous: PseudoLabels | None = None
    clustering: Labeler | None = None

    @cached_property
    def descriptors(self) -> dict[Modality, Tensor]:
        """Float (N, 2 D) of each modality, rows of length 1."""
        return modality_descriptors(self.visible, self.infrared)

    @cached_property
    def trips(self) -> dict[Modality, np.ndarray]:
        """int64 (N,) of each modality: where trips to the nearest tracklet of the other one, and back, end."""
        visible, infrared = self.descriptors.values()
        there, back = knn(visible, infrared, 1)[1][:, 0], knn(infrared, visible, 1)[1][:, 0]
        return {Modality.RGB: back[there].cpu().numpy(), Modality.IR: there[back].cpu().numpy()}


class Criterion:
    """Base class of label-free criteria. A subclass is registered in ``CRITERIA`` and defines ``__call__``."""

    #: ``greater`` or ``less``, the direction of better values.
    rule: str = 'greater'

    def __call__(self, judged: JudgedRound) -> Mapping[Modality, float]:
        """Return the value of each modality, NaN if it is undefined; empty if the round lacks what is needed."""
        raise NotImplementedError(f'{type(self).__name__} must define __call__')


@CRITERIA.register_module(name='silhouette')
class Silhouette(Criterion):
    """Mean silhouette of the pseudo labels, cosine distance."""

    def __call__(self, judged: JudgedRound) -> dict[Modality, float]:
        """Return values in [-1, 1]; NaN with fewer than two clusters."""
        return {m: silhouette(rows, judged.labels.of(m)) for m, rows in judged.descriptors.items()}


@CRITERIA.register_module(name='static_dynamic_agreement')
class StaticDynamicAgreement(Criterion):
    """Adjusted Rand index between clusters of only the static and of only the dynamic features."""

    def __call__(self, judged: JudgedRound) -> dict[Modality, float]:
        """Return values in [-0.5, 1]; nothing without a clustering, or if one half forms no cluster."""
        if judged.clustering is None:
            return {}
        sides = judged.visible, judged.infrared
        # the clustering concatenates both halves
        static = [TrackletFeatures(side.static, side.static) for side in sides]
        dynamic = [TrackletFeatures(side.dynamic, side.dynamic) for side in sides]
        try:
            first, second = judged.clustering(*static), judged.clustering(*dynamic)
        except LabelingError:
            return {}
        return {m: label_agreement(first.of(m), second.of(m)) for m in Modality}


@CRITERIA.register_module(name='cycle_consistency')
class CycleConsistency(Criterion):
    """Share of labeled tracklets whose round trip ends at a tracklet with the same label."""

    def __call__(self, judged: JudgedRound) -> dict[Modality, float]:
        """Return shares in [0, 1]; NaN without a labeled tracklet."""
        values = {}
        for modality, trips in judged.trips.items():
            labels = judged.labels.of(modality)
            kept = labels >= 0
            values[modality] = float((labels[trips[kept]] == labels[kept]).mean()) if kept.any() else math.nan
        return values


@CRITERIA.register_module(name='cycle_return')
class CycleReturn(Criterion):
    """Share of tracklets whose round trip ends where it began."""

    def __call__(self, judged: JudgedRound) -> dict[Modality, float]:
        """Return shares in [0, 1]."""
        return {m: float((trips == np.arange(len(trips))).mean()) for m, trips in judged.trips.items()}


@CRITERIA.register_module(name='stability')
class Stability(Criterion):
    """Adjusted Rand index with the labels of the previous round."""

    def __call__(self, judged: JudgedRound) -> dict[Modality, float]:
        """Return values in [-0.5, 1]; nothing in the first round."""
        if judged.previous is None:
            return {}
        return {m: label_agreement(judged.previous.of(m), judged.labels.of(m)) for m in Modality}


#: Names of the criteria of this package.
LABEL_FREE_CRITERIA = tuple(CRITERIA.module_dict)


def label_free_criteria(judged: JudgedRound, criteria: Mapping[str, Criterion]) -> dict[str, float]:
    """Compute criteria, given by name, for one round of labeling, omitting undefined values.

    Returns means by name, if both modalities have the value, and values by the names with ``_rgb`` and ``_ir``.
    """
    values = {}
    for name, criterion in criteria.items():
        parts = criterion(judged)
        if parts:
            values[name] = sum(parts.values()) / len(parts)
            values |= {f'{name}_{modality.value}': value for modality, value in parts.items()}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def label_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Adjusted Rand index of two int (N,) clusterings, in [-0.5, 1], on the tracklets labeled (>= 0) by both.

    NaN if fewer than two tracklets are labeled by both.
    """
    common = (first >= 0) & (second >= 0)
    return quiet_score(adjusted_rand_score, first[common], second[common]) if common.sum() >= 2 else math.nan
