"""Small pictures of tracklets, embedded in the page."""

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from dscreid.datasets.decoding import decode_frame, decode_with_cv2
from dscreid.datasets.storage import open_frames
from dscreid.errors import DatasetError

JPEG_QUALITY = 82


class TrackletPictures:
    """Reads frames of a ``TrackletDataset``'s tracklets and encodes them as JPEG data URIs.

    ``num_frames`` evenly spaced frames are shown side by side, shrunk to ``max_height`` if they are larger. Only
    ``root``, whose frames may be packed, and ``tracklets`` of the dataset are used.
    """

    def __init__(self, dataset: Any, num_frames: int = 1, max_height: int = 160) -> None:
        self.dataset = dataset
        self.storage = open_frames(dataset.root)
        self.num_frames = num_frames
        self.max_height = max_height
        self._cache: dict[int, str] = {}

    def __call__(self, index: int) -> str:
        """Return the picture of a tracklet as a data URI; raise a DatasetError if it or a frame cannot be read."""
        if index not in self._cache:
            self._cache[index] = data_uri(self.jpeg(index))
        return self._cache[index]

    def jpeg(self, index: int) -> bytes:
        """Return the picture of a tracklet as the content of a JPEG file; see ``__call__``."""
        tracklets = self.dataset.tracklets
        if not 0 <= index < len(tracklets):
            raise DatasetError(
                f'there is no tracklet {index} in {self.dataset.root}; name the dataset of the features.'
            )
        frames = tracklets[index].frames
        positions = middle_positions(len(frames), self.num_frames)
        images = [decode_frame(self.storage, frames[position], decode_with_cv2) for position in positions]
        return joined_jpeg(images, self.max_height)


def data_uri(jpeg: bytes) -> str:
    """Embed the content of a JPEG file in a page."""
    return 'data:image/jpeg;base64,' + base64.b64encode(jpeg).decode('ascii')


def small_jpeg(image: np.ndarray, max_height: int = 160) -> bytes:
    """Encode an image, uint8 (H, W, 3) in RGB order or gray (H, W), as a JPEG file; larger ones are shrunk."""
    return joined_jpeg([image], max_height)


def joined_jpeg(images: Sequence[np.ndarray], max_height: int = 160) -> bytes:
    """Join images, see ``small_jpeg``, side by side in one JPEG file, at the height of the first one."""
    height = min(images[0].shape[0], max_height)
    joined = np.hstack([_resized(image, height) for image in images])
    return cv2.imencode('.jpg', joined, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def middle_positions(length: int, count: int) -> list[int]:
    """Return the centers of ``count`` equal parts of ``length`` frames; fewer if the tracklet is shorter."""
    count = min(count, length)
    return [((2 * part + 1) * length) // (2 * count) for part in range(count)]


def _resized(image: np.ndarray, height: int) -> np.ndarray:
    """Convert an image in RGB order or gray to BGR order, and scale it to a height."""
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)
    width = max(round(image.shape[1] * height / image.shape[0]), 1)
    shrink = height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
