"""What a dataset lists, what a sampler draws and what a pipeline packs."""

from dscreid.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'data_sample': ['ReIDDataSample'],
        'draw': ['Draw', 'draw_seeds'],
        'features': ['TrackletFeatures'],
        'tracklet': ['Modality', 'Tracklet'],
    },
)
