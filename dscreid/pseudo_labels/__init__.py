"""Pseudo labels: pure functions of features, and the registered labelers built from them."""

from dscreid.neighbors.jaccard import jaccard_distance
from dscreid.neighbors.knn import knn
from dscreid.pseudo_labels.aggregation_labeler import AggregationLabeler
from dscreid.pseudo_labels.agreement import votes_needed
from dscreid.pseudo_labels.camera_labeler import CameraLabeler, cluster_cameras
from dscreid.pseudo_labels.cluster_labeler import ClusterLabeler
from dscreid.pseudo_labels.clustering import dbscan
from dscreid.pseudo_labels.clustering_settings import ClusteringSettings, settings_for
from dscreid.pseudo_labels.context import LabelingContext
from dscreid.pseudo_labels.criteria import CRITERIA, label_free_criteria
from dscreid.pseudo_labels.density import DensityChoice, choose_for_same_people, choose_settings
from dscreid.pseudo_labels.dslu import correct_labels, unify_labels
from dscreid.pseudo_labels.dslu_labeler import DSLULabeler
from dscreid.pseudo_labels.joint_labeler import JointLabeler
from dscreid.pseudo_labels.labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.pseudo_labels.matching import match_clusters_by_votes, match_clusters_progressively
from dscreid.pseudo_labels.matching_labeler import MatchingLabeler
from dscreid.pseudo_labels.neighbor_soft import confidence_weights, label_shares, overlap_shares, soft_targets
from dscreid.pseudo_labels.neighbor_soft_labeler import NeighborSoftLabeler
from dscreid.pseudo_labels.proxy_affinity import proxy_affinities
from dscreid.pseudo_labels.proxy_affinity_labeler import ProxyAffinityLabeler
from dscreid.pseudo_labels.quality import (
    ari_of_all,
    cross_modal_accuracy,
    label_diagnostics,
    label_statistics,
    quality,
)
from dscreid.pseudo_labels.transport import sinkhorn, transport_labels
from dscreid.pseudo_labels.transport_labeler import TransportLabeler
from dscreid.pseudo_labels.true_labels import TrueLabels
from dscreid.pseudo_labels.unification import smooth_labels, vote_across
from dscreid.pseudo_labels.unification_labeler import UnificationLabeler

__all__ = [
    'CRITERIA',
    'AggregationLabeler',
    'CameraLabeler',
    'ClusterLabeler',
    'ClusteringSettings',
    'CrossLabels',
    'DSLULabeler',
    'DensityChoice',
    'JointLabeler',
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
    'choose_for_same_people',
    'choose_settings',
    'cluster_cameras',
    'confidence_weights',
    'correct_labels',
    'cross_modal_accuracy',
    'dbscan',
    'jaccard_distance',
    'knn',
    'label_diagnostics',
    'label_free_criteria',
    'label_shares',
    'label_statistics',
    'match_clusters_by_votes',
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
