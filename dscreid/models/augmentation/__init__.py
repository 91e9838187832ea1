"""Augmentation of batches of tracklets on the device. All random numbers come from the seed of each sample."""

from dscreid.models.augmentation.color import (
    JitterPolicy,
    View,
    channel_choices,
    jitter_factors,
    jitter_frames,
    mix_channels,
)
from dscreid.models.augmentation.draws import uniform_draws
from dscreid.models.augmentation.geometry import (
    ErasingPolicy,
    crop_frames,
    crop_offsets,
    erase_boxes,
    erase_frames,
    flip_frames,
)
from dscreid.models.augmentation.tracklet_augmentation import TrackletAugmentation

__all__ = [
    'ErasingPolicy',
    'JitterPolicy',
    'TrackletAugmentation',
    'View',
    'channel_choices',
    'crop_frames',
    'crop_offsets',
    'erase_boxes',
    'erase_frames',
    'flip_frames',
    'jitter_factors',
    'jitter_frames',
    'mix_channels',
    'uniform_draws',
]
