"""Datasets in their original layouts, transforms that load tracklets and samplers that draw them."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'bupt_campus': ['BUPTCampus'],
        'hitsz_vcm': ['HITSZVCM'],
        'llcm': ['LLCM'],
        'pictures': ['Picture', 'PictureDataset'],
        'records': ['anonymous_rank'],
        'regdb': ['RegDB'],
        'sysu_mm01': ['SYSUMM01'],
        'tracklet_dataset': ['ParsedIndex', 'TrackletDataset'],
        'tracklet_folder': ['TrackletFolder'],
    },
)
