"""Data structures: tracklets, sampler draws, packed samples, features and pseudo labels."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'features': ['ReIDDataSample', 'TrackletFeatures'],
        'labels': ['CrossLabels', 'PseudoLabels', 'SoftTargets', 'outliers_alone'],
        'rankings': ['RANKINGS', 'Ranking', 'ranking_feature'],
        'tracklet': ['Draw', 'Modality', 'Tracklet', 'draw_seeds'],
    },
)
