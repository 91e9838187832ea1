"""Transforms for frame sampling, decoding and packing; each maps a dict to a dict."""

from dscreid.datasets.transforms.frame_sampling import (
    linspace_frames,
    segment_first_frames,
    segment_random_frames,
    sorted_random_frames,
)
from dscreid.datasets.transforms.load_frames import LoadFrames
from dscreid.datasets.transforms.pack_tracklet import PackTracklet
from dscreid.datasets.transforms.sample_frames import SampleFrames

__all__ = [
    'LoadFrames',
    'PackTracklet',
    'SampleFrames',
    'linspace_frames',
    'segment_first_frames',
    'segment_random_frames',
    'sorted_random_frames',
]
