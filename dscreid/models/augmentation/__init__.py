"""Augmentation of batches of tracklets on the device. All random numbers come from the seed of each sample."""

from dscreid.models.augmentation.tracklet_augmentation import TrackletAugmentation

__all__ = ['TrackletAugmentation']
