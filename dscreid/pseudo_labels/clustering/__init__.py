"""Clustering with k-reciprocal Jaccard distances and DBSCAN, with settings that are given or chosen from the data."""

from dscreid.pseudo_labels.clustering.dbscan import cluster, cluster_neighbors, dbscan
from dscreid.pseudo_labels.clustering.density import (
    DensityChoice,
    choose_for_same_people,
    choose_settings,
    chosen_settings,
    settings_of_modalities,
)
from dscreid.pseudo_labels.clustering.settings import (
    AUTO,
    COMMON_CLUSTERING,
    ClusteringSettings,
    FixedSettings,
    fixed_settings,
    settings_for,
)

__all__ = [
    'AUTO',
    'COMMON_CLUSTERING',
    'ClusteringSettings',
    'DensityChoice',
    'FixedSettings',
    'choose_for_same_people',
    'choose_settings',
    'chosen_settings',
    'cluster',
    'cluster_neighbors',
    'dbscan',
    'fixed_settings',
    'settings_for',
    'settings_of_modalities',
]
