"""Labelers for the second stages of PGM and ADCA: clusters of each modality, matched with those of the other."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.descriptors import mean_descriptors
from dscreid.pseudo_labels.labelers.base import SeparateLabeler
from dscreid.pseudo_labels.matching import count_votes, greedy_matches, match_clusters_progressively
from dscreid.registry import LABELERS
from dscreid.structures import CrossLabels, Modality, PseudoLabels

#: If a larger share of pairs reaches the threshold, the votes mostly reflect cluster sizes.
_NEARLY_ALL = 0.5


@LABELERS.register_module()
@dataclass(eq=False)
class MatchingLabeler(SeparateLabeler):
    """Cluster each modality, and give each tracklet the partner of its cluster in the other modality (PGM).

    ``cross`` holds the partners, for all but outliers. See :func:`dscreid.pseudo_labels.match_clusters_progressively`.
    """

    #: maximum number of assignments, 2 in the released code; None repeats until every cluster has a partner
    passes: int | None = None
    mirror: bool = True  #: whether there may be more infrared than visible clusters; False in the code for SYSU-MM01

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        super().__post_init__(clustering)
        if self.passes is not None and self.passes < 1:
            raise ConfigError(f'MatchingLabeler: passes must be at least 1 or None, got {self.passes}')

    def _related(self, labels: PseudoLabels, descriptors: Mapping[Modality, Tensor]) -> PseudoLabels:
        return replace(labels, cross=matched_cross_labels(descriptors, labels, self.passes, self.mirror))


@LABELERS.register_module()
@dataclass(eq=False)
class AggregationLabeler(SeparateLabeler):
    """Cluster each modality, and pair clusters greedily by the votes of similar tracklets (ADCA).

    ``matches`` holds the pairs, which the memories use; it is empty, with a warning, if no pair of tracklets
    reaches the threshold. See :func:`dscreid.pseudo_labels.count_votes`.
    """

    threshold: float = 0.5  #: cosine similarity in [-1, 1] from which a pair of tracklets counts as a vote

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        super().__post_init__(clustering)
        if not -1 <= self.threshold <= 1:
            raise ConfigError(f'AggregationLabeler: threshold must be a cosine in [-1, 1], got {self.threshold}')

    def _related(self, labels: PseudoLabels, descriptors: Mapping[Modality, Tensor]) -> PseudoLabels:
        rgb, ir = descriptors[Modality.RGB], descriptors[Modality.IR]
        votes, share = count_votes(rgb, ir, labels.rgb, labels.ir, self.threshold)
        matches = greedy_matches(votes)
        remedy = ''
        if not len(matches):
            remedy = '; nothing is aggregated in this epoch; lower threshold'
        elif share > _NEARLY_ALL:
            remedy = '; the votes are little more than cluster sizes; raise threshold'
        print_log(
            f'aggregation: {len(matches)} of {min(votes.shape)} possible cluster pairs; {share:.2%} of the tracklet '
            f'pairs reach a cosine of {self.threshold:g}{remedy}',
            logger='current',
            level=logging.WARNING if remedy else logging.INFO,
        )
        return replace(labels, matches=matches)


def matched_cross_labels(
    descriptors: Mapping[Modality, Tensor], labels: PseudoLabels, passes: int | None = None, mirror: bool = True
) -> CrossLabels:
    """Find each tracklet's cluster in the other modality by progressive matching of mean descriptors."""
    visible, infrared = (mean_descriptors(descriptors[m], labels.of(m)) for m in Modality)
    partners = match_clusters_progressively(visible, infrared, passes, mirror)
    rgb, ir = (np.where(labels.of(m) >= 0, p[labels.of(m)], -1) for m, p in zip(Modality, partners, strict=True))
    return CrossLabels(rgb=rgb, ir=ir)
