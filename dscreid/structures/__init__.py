"""Data structures: tracklets, sampler draws, packed samples and features."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'data_sample': ['ReIDDataSample'],
        'draw': ['Draw', 'draw_seeds'],
        'features': ['TrackletFeatures'],
        'tracklet': ['Modality', 'Tracklet'],
    },
)
