"""Pseudo labels: pure functions of features, and the registered labelers that compose them."""

from dscreid.pseudo_labels.cluster_labeler import ClusterLabeler
from dscreid.pseudo_labels.clustering import dbscan
from dscreid.pseudo_labels.dslu import correct_labels, unify_labels
from dscreid.pseudo_labels.dslu_labeler import DSLULabeler
from dscreid.pseudo_labels.jaccard import jaccard_distance
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.pseudo_labels.neighbors import knn
from dscreid.pseudo_labels.quality import cross_modal_accuracy, label_diagnostics, label_statistics, quality
from dscreid.pseudo_labels.true_labels import TrueLabels

__all__ = [
    'ClusterLabeler',
    'DSLULabeler',
    'PseudoLabels',
    'TrueLabels',
    'correct_labels',
    'cross_modal_accuracy',
    'dbscan',
    'jaccard_distance',
    'knn',
    'label_diagnostics',
    'label_statistics',
    'quality',
    'unify_labels',
]
