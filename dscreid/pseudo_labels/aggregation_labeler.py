"""Labeler for the second stage of ADCA: clusters per modality, and cluster pairs whose centers are aggregated."""

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
#: If a larger share of pairs reaches the threshold, the votes mostly reflect cluster sizes.
_NEARLY_ALL = 0.5


@LABELERS.register_module()
class AggregationLabeler:
    """Cluster each modality, and pair clusters greedily by the votes of similar tracklets (ADCA).

    The labels are those of the clustering, with a separate numbering for each modality. The pairs are stored
    in ``matches``, which the memories use. See
    :func:`dscreid.pseudo_labels.matching.match_clusters_by_votes`.

    Args:
        clustering: Config of the labeler that clusters each modality.
        threshold: Cosine similarity in [-1, 1] from which a pair of tracklets counts as a vote.

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
            Labels with separate numberings, and ``matches``. If no pair of tracklets reaches the threshold,
            ``matches`` is empty and a warning is logged. The memories then keep the centers of the clusters
            unchanged.

        Raises:
            ConfigError: If the clustering uses one numbering for both modalities.
            LabelingError: If there is no cluster.
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
