"""Moving pictures of tracklets: frames side by side in one JPEG file, which the page shows one after another."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dscreid.datasets.decoding import decode_frame, decode_with_cv2
from dscreid.datasets.storage import FolderFrames
from dscreid.datasets.storage.frame_storage import IMAGE_SUFFIXES
from dscreid.deployment.gallery import Gallery
from dscreid.deployment.gallery_rows import Entry
from dscreid.errors import DatasetError
from dscreid.utils.natural_order import natural_key
from dscreid.visualization.pictures import middle_positions, small_jpeg

#: (H, W) of each frame; the page knows the ratio 2:1.
CELL = (256, 128)
FRAMES = 12
_GROUND = (32, 36, 43)


def strip_of(gallery: Gallery, entry: Entry) -> bytes | None:
    """Make the moving picture of a tracklet, or of its thumbnail if no picture can be read; None without both."""
    images = _pictures(gallery, entry)
    if not images and entry.thumbnail:
        thumbnail = decode_with_cv2(entry.thumbnail)
        images = [] if thumbnail is None else [thumbnail]
    return strip(images) if images else None


def strip(images: Sequence[npt.NDArray[np.uint8]]) -> bytes:
    """Join some of the images, uint8 (h, w, 3) in RGB order or (h, w), to the content of a JPEG file."""
    cells = [_fitted(images[position]) for position in middle_positions(len(images), FRAMES)]
    return small_jpeg(np.hstack(cells), CELL[0])


def _pictures(gallery: Gallery, entry: Entry) -> list[npt.NDArray[np.uint8]]:
    """Read frames of a tracklet's folder, unless it also has pictures of others, or links that lead out of it."""
    folder = Path(entry.folder)
    if not entry.folder or not folder.is_dir() or gallery.at(folder) is None:
        return []
    names = [path.name for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    names = sorted((name for name in names if not name.startswith('.')), key=natural_key)
    frames, images = FolderFrames(folder), []
    for position in middle_positions(len(names), FRAMES):
        try:
            images.append(decode_frame(frames, names[position], decode_with_cv2, CELL))
        except DatasetError:  # the others are shown
            continue
    return images


def _fitted(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Fit an image into a cell without changing its shape."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    scale = min(CELL[0] / image.shape[0], CELL[1] / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    cell = np.full((*CELL, 3), _GROUND, np.uint8)
    top, left = (CELL[0] - height) // 2, (CELL[1] - width) // 2
    cell[top : top + height, left : left + width] = cv2.resize(
        np.ascontiguousarray(image), (width, height), interpolation=method
    )
    return cell
