"""Pseudo labels: pure functions of features, and the registered labelers built from them."""

from dscreid.neighbors.jaccard import jaccard_distance
from dscreid.neighbors.knn import knn
from dscreid.pseudo_labels.clustering.dbscan import dbscan
from dscreid.pseudo_labels.clustering.density import DensityChoice, choose_for_same_people, choose_settings
from dscreid.pseudo_labels.clustering.settings import ClusteringSettings, settings_for
from dscreid.pseudo_labels.criteria import Criterion, JudgedRound, label_free_criteria
from dscreid.pseudo_labels.descriptors import proxy_affinities
from dscreid.pseudo_labels.labelers.base import (
    Labeler,
    LabelingContext,
    build_clustering,
    build_labeler,
    labeling_within_memory,
)
from dscreid.pseudo_labels.labelers.cluster import ClusterLabeler
from dscreid.pseudo_labels.labelers.gur import CameraLabeler, JointLabeler, ProxyAffinityLabeler
from dscreid.pseudo_labels.labelers.matching import AggregationLabeler, MatchingLabeler
from dscreid.pseudo_labels.labelers.neighbor_guided import NeighborSoftLabeler, TransportLabeler
from dscreid.pseudo_labels.labelers.true_labels import TrueLabels
from dscreid.pseudo_labels.labelers.unification import DSLULabeler, UnificationLabeler
from dscreid.pseudo_labels.matching import count_votes, greedy_matches, match_clusters_progressively
from dscreid.pseudo_labels.neighbor_soft import confidence_weights, label_shares, overlap_shares, soft_targets
from dscreid.pseudo_labels.quality import ari_of_all, cross_modal_accuracy, label_diagnostics, label_statistics, quality
from dscreid.pseudo_labels.transport import sinkhorn, transport_labels
from dscreid.pseudo_labels.unification import correct_labels, smooth_labels, unify_labels, vote_across, votes_needed
from dscreid.structures import CrossLabels, PseudoLabels, SoftTargets

__all__ = [
    'AggregationLabeler',
    'CameraLabeler',
    'ClusterLabeler',
    'ClusteringSettings',
    'Criterion',
    'CrossLabels',
    'DSLULabeler',
    'DensityChoice',
    'JointLabeler',
    'JudgedRound',
    'Labeler',
    'LabelingContext',
    'MatchingLabeler',
    'NeighborSoftLabeler',
    'ProxyAffinityLabeler',
    'PseudoLabels',
    'SoftTargets',
    'TransportLabeler',
    'TrueLabels',
    'UnificationLabeler',
    'ari_of_all',
    'build_clustering',
    'build_labeler',
    'choose_for_same_people',
    'choose_settings',
    'confidence_weights',
    'correct_labels',
    'count_votes',
    'cross_modal_accuracy',
    'dbscan',
    'greedy_matches',
    'jaccard_distance',
    'knn',
    'label_diagnostics',
    'label_free_criteria',
    'label_shares',
    'label_statistics',
    'labeling_within_memory',
    'match_clusters_progressively',
    'overlap_shares',
    'proxy_affinities',
    'quality',
    'settings_for',
    'sinkhorn',
    'smooth_labels',
    'soft_targets',
    'transport_labels',
    'unify_labels',
    'vote_across',
    'votes_needed',
]
