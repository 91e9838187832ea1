"""Pseudo labels: pure functions of features, and the registered labelers built from them."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'dscreid.neighbors.jaccard': ['jaccard_distance'],
        'dscreid.neighbors.knn': ['knn'],
        'dscreid.structures': ['CrossLabels', 'PseudoLabels', 'SoftTargets'],
        'clustering.dbscan': ['dbscan'],
        'clustering.density': ['DensityChoice', 'choose_for_same_people', 'choose_settings'],
        'clustering.settings': ['ClusteringSettings', 'settings_for'],
        'criteria': ['Criterion', 'JudgedRound', 'label_free_criteria'],
        'descriptors': ['proxy_affinities'],
        'labelers.base': [
            'Labeler', 'LabelingContext', 'build_clustering', 'build_labeler', 'labeling_within_memory',
        ],
        'labelers.cluster': ['ClusterLabeler'],
        'labelers.gur': ['CameraLabeler', 'JointLabeler', 'ProxyAffinityLabeler'],
        'labelers.matching': ['AggregationLabeler', 'MatchingLabeler'],
        'labelers.neighbor_guided': ['NeighborSoftLabeler', 'TransportLabeler'],
        'labelers.prototypes': ['NearestCenterLabeler', 'PrototypeLabeler'],
        'labelers.true_labels': ['TrueLabels'],
        'labelers.unification': ['DSLULabeler', 'UnificationLabeler'],
        'matching': [
            'count_votes', 'greedy_matches', 'match_clusters_by_transport', 'match_clusters_progressively', 'sinkhorn',
            'transport_labels',
        ],
        'neighbor_soft': ['confidence_weights', 'label_shares', 'overlap_shares', 'soft_targets'],
        'prototypes': ['calibrated_labels', 'cluster_prototypes', 'nearest_center_labels'],
        'quality': ['ari_of_all', 'cross_modal_accuracy', 'label_diagnostics', 'label_statistics'],
        'whitening': ['whitened'],
        'unification': ['correct_labels', 'smooth_labels', 'unify_labels', 'vote_across', 'votes_needed'],
    },
)  # fmt: skip
