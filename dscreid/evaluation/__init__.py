"""Evaluation: pure retrieval measures, the official protocols, and the metric that binds them to MMEngine."""

from dscreid.evaluation.feature_file import FeatureTable, load_features, save_features
from dscreid.evaluation.metric import ReIDMetric
from dscreid.evaluation.protocols import Direction, protocol_directions
from dscreid.evaluation.ranking import RankLists, rank_lists, rank_metrics

__all__ = [
    'Direction',
    'FeatureTable',
    'RankLists',
    'ReIDMetric',
    'load_features',
    'protocol_directions',
    'rank_lists',
    'rank_metrics',
    'save_features',
]
