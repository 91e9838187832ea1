"""Evaluation: pure retrieval measures, the official protocols, and the metric that binds them to MMEngine."""

from dscreid.evaluation.bootstrap import bootstrap_intervals
from dscreid.evaluation.feature_file import FeatureTable, load_features, save_features
from dscreid.evaluation.metric import ReIDMetric
from dscreid.evaluation.protocols import Direction, protocol_directions
from dscreid.evaluation.query_expansion import QueryExpansion, expand_queries
from dscreid.evaluation.query_table import QueryTable, query_table, save_query_table
from dscreid.evaluation.ranking import (
    QueryRanks,
    RankLists,
    rank_lists,
    rank_metrics,
    rank_queries,
    summarize,
)
from dscreid.evaluation.reranking import Reranked, Reranking
from dscreid.evaluation.scores import InnerProduct, Scores

__all__ = [
    'Direction',
    'FeatureTable',
    'InnerProduct',
    'QueryExpansion',
    'QueryRanks',
    'QueryTable',
    'RankLists',
    'ReIDMetric',
    'Reranked',
    'Reranking',
    'Scores',
    'bootstrap_intervals',
    'expand_queries',
    'load_features',
    'protocol_directions',
    'query_table',
    'rank_lists',
    'rank_metrics',
    'rank_queries',
    'save_features',
    'save_query_table',
    'summarize',
]
