"""Datasets in their original layouts, transforms that load tracklets and samplers that draw them."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'bupt_campus': ['BUPTCampus'],
        'ground_truth': ['GroundTruth', 'anonymous_rank'],
        'hitsz_vcm': ['HITSZVCM'],
        'tracklet_dataset': ['ParsedIndex', 'TrackletDataset'],
        'tracklet_folder': ['TrackletFolder'],
    },
)
