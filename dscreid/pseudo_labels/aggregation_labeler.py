"""Labeler of ADCA's second stage: clusters of each modality, and pairs of them whose centers are aggregated."""

import logging
from collections.abc import Mapping
from types import MappingProxyType

from mmengine.logging import print_log

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.descriptors import build_clustering, cluster_separately, tracklet_descriptors
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.pseudo_labels.matching import count_votes, greedy_matches
from dscreid.registry import LABELERS
from dscreid.structures import TrackletFeatures

_CLUSTERING = MappingProxyType({'type': 'ClusterLabeler'})
#: Share of pairs above the threshold from which the votes say little but how large two clusters are.
_NEARLY_ALL = 0.5


@LABELERS.register_module()
class AggregationLabeler:
    """Cluster each modality; pair clusters greedily by the votes of similar tracklets (ADCA).

    The labels stay those of the clustering, in two numberings; the pairs are ``matches``, which the memories use.
    See :func:`dscreid.pseudo_labels.matching.match_clusters_by_votes`.

    Args:
        clustering: Config of the labeler that makes the per-modality labels.
        threshold: Cosine in [-1, 1] from which a pair of tracklets votes.

    Example (config)::

        labeler = dict(type='AggregationLabeler', clustering=dict(type='ClusterLabeler', eps=0.6), threshold=0.5)
    """

    def __init__(self, clustering: Mapping = _CLUSTERING, threshold: float = 0.5) -> None:
        if not -1 <= threshold <= 1:
            raise ConfigError(f'AggregationLabeler: threshold must be a cosine in [-1, 1], got {threshold}')
        self.clustering = build_clustering('AggregationLabeler', clustering)
        self.threshold = threshold

    def __call__(self, visible: TrackletFeatures, infrared: TrackletFeatures) -> PseudoLabels:
        """Label both modalities.

        Args:
            visible: Features of the Nv visible tracklets.
            infrared: Features of the Nt infrared tracklets.

        Returns:
            Labels in two numberings, with ``matches``. Where no pair of tracklets reaches the threshold they are
            empty, which is logged: the memories then stay as the clusters made them.

        Raises:
            ConfigError: The clustering gives one numbering to both modalities.
            LabelingError: There is no cluster.
        """
        labels = cluster_separately('AggregationLabeler', self.clustering, visible, infrared)
        descriptors = tracklet_descriptors(visible), tracklet_descriptors(infrared)
        votes, share = count_votes(*descriptors, labels.rgb, labels.ir, self.threshold)
        matches = greedy_matches(votes)
        self._log(len(matches), min(votes.shape), share)
        return PseudoLabels(rgb=labels.rgb, ir=labels.ir, shared=False, matches=matches)

    def _log(self, num_matches: int, num_possible: int, share: float) -> None:
        level, remedy = logging.INFO, ''
        if not num_matches:
            level, remedy = logging.WARNING, '; nothing is aggregated this time, lower threshold'
        elif share > _NEARLY_ALL:
            level, remedy = logging.WARNING, '; the votes are little more than cluster sizes, raise threshold'
        print_log(
            f'aggregation: {num_matches} of {num_possible} possible cluster pairs; {share:.2%} of the tracklet pairs '
            f'reach a cosine of {self.threshold:g}{remedy}',
            logger='current',
            level=level,
        )
