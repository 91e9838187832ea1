"""Labelers for the second stages of PGM and ADCA: clusters of each modality, matched with those of the other."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels.clustering.dbscan import cluster
from dscreid.pseudo_labels.clustering.settings import ClusteringSettings, fixed_settings
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
class JointMatchingLabeler(MatchingLabeler):
    """Match clusters as ``MatchingLabeler``, and also cluster the tracklets of both modalities together (PCLHD).

    ``joint`` holds these clusters, for a loss of their own. In their distances, the query expansion averages the
    neighbors of each modality, then both (see ``jaccard_of_neighbors``).
    """

    joint_k1: int = 40  #: ``k1`` of the joint clustering, as in the released code
    joint_k2: int = 32  #: ``k2`` of the joint clustering, as in the released code
    joint_eps: float = 0.6  #: DBSCAN radius of the joint clustering; the released code uses 0.3 for RegDB
    joint_min_samples: int = 4  #: as in ``ClusterLabeler``

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        super().__post_init__(clustering)
        names = ('k1', 'k2', 'eps', 'min_samples')
        settings = {name: getattr(self, f'joint_{name}') for name in names}
        self.joint_settings = ClusteringSettings(**fixed_settings('JointMatchingLabeler, joint clustering', **settings))

    def _related(self, labels: PseudoLabels, descriptors: Mapping[Modality, Tensor]) -> PseudoLabels:
        labels = super()._related(labels, descriptors)
        sides = np.repeat([0, 1], [len(descriptors[m]) for m in Modality])
        found = cluster(torch.cat([descriptors[m] for m in Modality]), self.joint_settings, sides)
        joint = {m: found[sides == side] for side, m in enumerate(Modality)}
        shared = np.intersect1d(*(joint[m][joint[m] >= 0] for m in Modality))
        if not len(shared):
            raise LabelingError(
                f'JointMatchingLabeler: none of the {found.max(initial=-1) + 1} joint clusters has tracklets of both '
                f'modalities ({self.joint_settings}); raise joint_eps or joint_k1'
            )
        print_log(f'joint clusters: {len(shared)} of {found.max() + 1} have both modalities', logger='current')
        return replace(labels, joint=joint)


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
