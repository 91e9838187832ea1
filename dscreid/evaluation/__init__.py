"""Evaluation: retrieval measures, official protocols and the MMEngine metric that applies them."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'bootstrap': ['bootstrap_intervals'],
        'feature_file': ['FeatureTable', 'load_features', 'save_features'],
        'image_evaluation': ['evaluate_image_protocol'],
        'image_protocols': ['draw_galleries'],
        'metric': ['ReIDMetric', 'split_intervals'],
        'protocols': ['Direction', 'EvaluationProtocol', 'protocol_directions'],
        'query_table': ['make_query_table', 'save_query_table'],
        'ranking': ['QueryRanks', 'RankLists', 'rank_lists', 'rank_metrics', 'rank_queries', 'summarize'],
        'scores': ['InnerProduct', 'QueryExpansion', 'Reranked', 'Reranking', 'Scores', 'expand_queries'],
    },
)
