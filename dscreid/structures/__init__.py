"""What a dataset lists, what a sampler draws and what a pipeline packs."""

from dscreid.structures.data_sample import ReIDDataSample
from dscreid.structures.draw import Draw, draw_seeds
from dscreid.structures.features import TrackletFeatures
from dscreid.structures.tracklet import Modality, Tracklet

__all__ = ['Draw', 'Modality', 'ReIDDataSample', 'Tracklet', 'TrackletFeatures', 'draw_seeds']
