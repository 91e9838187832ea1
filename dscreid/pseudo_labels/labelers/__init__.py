"""The registered labelers, and their base class."""

from dscreid.pseudo_labels.labelers.affinity import JointLabeler, ProxyAffinityLabeler
from dscreid.pseudo_labels.labelers.base import (
    Labeler,
    LabelingContext,
    build_clustering,
    build_labeler,
    labeling_within_memory,
)
from dscreid.pseudo_labels.labelers.camera import CameraLabeler, cluster_cameras
from dscreid.pseudo_labels.labelers.cluster import ClusterLabeler
from dscreid.pseudo_labels.labelers.matching import AggregationLabeler, MatchingLabeler
from dscreid.pseudo_labels.labelers.neighbor_soft import NeighborSoftLabeler
from dscreid.pseudo_labels.labelers.transport import TransportLabeler
from dscreid.pseudo_labels.labelers.true_labels import TrueLabels
from dscreid.pseudo_labels.labelers.unification import DSLULabeler, UnificationLabeler

__all__ = [
    'AggregationLabeler',
    'CameraLabeler',
    'ClusterLabeler',
    'DSLULabeler',
    'JointLabeler',
    'Labeler',
    'LabelingContext',
    'MatchingLabeler',
    'NeighborSoftLabeler',
    'ProxyAffinityLabeler',
    'TransportLabeler',
    'TrueLabels',
    'UnificationLabeler',
    'build_clustering',
    'build_labeler',
    'cluster_cameras',
    'labeling_within_memory',
]
