"""Datasets in their owners' layouts, the transforms that load tracklets and the samplers that draw them."""

from dscreid.datasets import samplers, transforms
from dscreid.datasets.bupt_campus import BUPTCampus
from dscreid.datasets.ground_truth import GroundTruth
from dscreid.datasets.hitsz_vcm import HITSZVCM
from dscreid.datasets.tracklet_dataset import ParsedIndex, TrackletDataset

__all__ = [
    'HITSZVCM',
    'BUPTCampus',
    'GroundTruth',
    'ParsedIndex',
    'TrackletDataset',
    'samplers',
    'transforms',
]
