"""Checks for features or pseudo labels that cannot be used for training, each reported with its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures


@dataclass(frozen=True)
class LabelLimits:
    """Limits beyond which a round of labeling counts as failed."""

    min_clusters: int = 2  #: minimum number of clusters of a modality, at least 1
    max_cluster_share: float = 0.5  #: maximum number of clusters per tracklet of a modality, in (0, 1]
    max_cosine: float = 0.99  #: maximum mean cosine similarity between two tracklets of a modality, in (0, 1]

    def __post_init__(self) -> None:
        if self.min_clusters < 1 or not 0 < self.max_cluster_share <= 1 or not 0 < self.max_cosine <= 1:
            raise ConfigError(f'limits of pseudo labels: needs min_clusters >= 1 and others in (0, 1], got {self}')


_LIMITS = LabelLimits()


def mean_cosine(features: Tensor) -> float:
    """Mean cosine similarity of all pairs of different rows of float (N, D); NaN for fewer than two rows."""
    count = len(features)
    if count < 2:
        return float('nan')
    unit = F.normalize(features.double(), dim=1)
    total = float(unit.sum(dim=0).square().sum())
    return (total - float(unit.square().sum())) / (count * (count - 1))


def label_faults(labels: PseudoLabels, limits: LabelLimits = _LIMITS) -> list[str]:
    """Find reasons why labels cannot be used for training: a sentence per fault."""
    faults = []
    for modality in Modality:
        name, tracklets = modality.value, len(labels.of(modality))
        found, share = labels.num_clusters(modality), labels.labelled_share(modality)
        if found < limits.min_clusters:
            few = 'hardly anything is labeled: raise eps, or lower min_samples or k1'
            many = 'almost everything is in one cluster: lower eps, or raise min_samples'
            faults.append(
                f'{found} clusters of {tracklets} {name} tracklets ({share:.0%} labeled), but {limits.min_clusters} '
                f'are needed to tell people apart; {many if share > 0.5 else few}'
            )
        elif found > limits.max_cluster_share * tracklets:
            faults.append(
                f'{found} clusters of {tracklets} {name} tracklets, more than {limits.max_cluster_share:g} per '
                'tracklet, so that most have one member; raise min_samples to 2 or more, or raise eps'
            )
    return faults


def feature_faults(features: Mapping[Modality, TrackletFeatures], limits: LabelLimits = _LIMITS) -> list[str]:
    """Find modalities whose finite features all point in the same direction: a sentence per fault."""
    faults = []
    for modality, halves in features.items():
        cosines = mean_cosine(halves.static), mean_cosine(halves.dynamic)
        if sum(cosines) / 2 > limits.max_cosine:
            faults.append(
                f'the {Modality(modality).value} features have collapsed: the mean cosine between two tracklets is '
                f'{cosines[0]:.4f} (static) and {cosines[1]:.4f} (dynamic), above {limits.max_cosine:g}; check the '
                'source weights, lower the learning rate, or let ClusterHook recalibrate_necks'
            )
    return faults
