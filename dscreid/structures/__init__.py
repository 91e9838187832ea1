"""Data structures: tracklets, sampler draws, packed samples, features and pseudo labels."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'data_sample': ['ReIDDataSample'],
        'draw': ['Draw', 'draw_seeds'],
        'features': ['TrackletFeatures'],
        'labels': ['CrossLabels', 'PseudoLabels', 'SoftTargets', 'outliers_alone'],
        'tracklet': ['Modality', 'Tracklet'],
    },
)
