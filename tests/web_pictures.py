"""Pictures of one color, and a stand-in for a model that sees colors."""

import cv2
import numpy as np
from galleries import SIZE


class Colors:
    """Stands for a model: the feature of a tracklet is made of the mean colors of its frames."""

    def __init__(self, bundle):
        self.bundle = bundle
        self.asked = []

    def __call__(self, tracklets, modalities=None, progress=True):
        self.asked.append((tracklets, modalities))
        return np.stack([self.feature(np.mean([frame.mean((0, 1)) for frame in frames], 0)) for frames in tracklets])

    @staticmethod
    def feature(color):
        vector = np.zeros(SIZE, np.float32)
        vector[:3] = color
        vector[3] = 60  # no picture is black
        return vector / np.linalg.norm(vector)


def jpeg(color, size=(64, 32), suffix='.jpg'):
    """Content of a picture of one color, RGB."""
    image = np.full((*size, 3), color, np.uint8)
    return cv2.imencode(suffix, image[..., ::-1])[1].tobytes()
