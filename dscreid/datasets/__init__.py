"""Datasets in their original layouts, transforms that load tracklets and samplers that draw them."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'bupt_campus': ['BUPTCampus'],
        'hitsz_vcm': ['HITSZVCM'],
        'records': ['anonymous_rank'],
        'tracklet_dataset': ['ParsedIndex', 'TrackletDataset'],
        'tracklet_folder': ['TrackletFolder'],
    },
)
