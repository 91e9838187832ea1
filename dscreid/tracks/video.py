"""Read videos, or folders of frames, from the first to the last frame, as trackers do."""

import os
from collections.abc import Container, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dscreid.datasets.storage.frame_storage import IMAGE_SUFFIXES
from dscreid.errors import DatasetError
from dscreid.utils.natural_order import natural_key

# FFmpeg would describe each damaged frame on the terminal; the number of frames that could be read is reported instead
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '8')

_FOREIGN = 'is it a video that OpenCV can read? Try: ffmpeg -i IN -c:v libx264 OUT.mp4'
#: If no frame's time differs by more than this from a constant rate, in seconds, the constant rate is used.
_JITTER = 0.1


class VideoHeader(NamedTuple):
    """Metadata of a video.

    Attributes:
        size: Width and height in pixels, upright.
        num_frames: Number of frames; wrong in some files.
        fps: Frames per second, > 0; the mean if the rate varies.
    """

    size: tuple[int, int]
    num_frames: int
    fps: float

    def times(self) -> npt.NDArray[np.float64]:
        """Times of the frames in seconds at a constant rate, float64 (num_frames,)."""
        return np.arange(self.num_frames) / self.fps


class Frame(NamedTuple):
    """A frame: its number from 0, its time in seconds from the first one, and, if wanted, uint8 (H, W, 3) BGR."""

    number: int
    time: float
    image: npt.NDArray[np.uint8] | None


def read_header(path: Path, fps: float | None = None, backend: int = cv2.CAP_ANY) -> VideoHeader:
    """Read size, number of frames and rate.

    Args:
        path: A video, or a folder of pictures in the order of their names.
        fps: Frames per second; needed for folders, and for videos that do not state theirs.
        backend: OpenCV's reader of videos.

    Raises:
        DatasetError: If the video is missing or unreadable, or its rate is unknown.
    """
    if path.is_dir():
        pictures = _pictures(path)
        first = cv2.imread(str(pictures[0]))
        if first is None:
            raise DatasetError(f'{pictures[0]}: not a picture; remove it or export the frames again')
        size, num_frames, found = (first.shape[1], first.shape[0]), len(pictures), 0.0
    else:
        video = _open(path, backend)
        size = (int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        num_frames = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
        found = video.get(cv2.CAP_PROP_FPS)
        video.release()
    rate = fps or found
    if not 0 < rate < 1000:
        raise DatasetError(f'{path}: frames per second are unknown; write them in the column fps of the sources')
    return VideoHeader(size, num_frames, rate)


def read_frames(path: Path, header: VideoHeader, wanted: Container[int], backend: int = cv2.CAP_ANY) -> Iterator[Frame]:
    """Read all frames, but decode only the wanted ones to pixels.

    The frames are those that OpenCV delivers, upright, as in most trackers. A damaged video ends at the damage.

    Raises:
        DatasetError: If the video is unreadable, or a picture of a folder is.
    """
    if path.is_dir():
        for number, picture in enumerate(_pictures(path)):
            image = cv2.imread(str(picture)) if number in wanted else None
            if number in wanted and (image is None or image.shape[1::-1] != header.size):
                raise DatasetError(f'{picture}: not a picture of {header.size[0]}x{header.size[1]} pixels as the first')
            yield Frame(number, number / header.fps, image)  # type: ignore[arg-type]  # cv2 does not tell the dtype
        return
    video, number = _open(path, backend), 0
    try:
        while video.grab():
            time = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
            image = video.retrieve()[1] if number in wanted else None
            yield Frame(number, time, image)  # type: ignore[arg-type]
            number += 1
    finally:
        video.release()


def settled_times(header: VideoHeader, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Choose the times of frames: a constant rate if the times as read fit it or do not increase, else these times.

    Args:
        header: Metadata of the video.
        times: float64 (N,), times of all frames as read, in seconds.

    Returns:
        float64 (N,), ascending.
    """
    constant = np.arange(len(times)) / header.fps
    if (np.diff(times) <= 0).any() or (np.abs(times - constant) <= _JITTER).all():
        return constant
    return times


def _open(path: Path, backend: int) -> cv2.VideoCapture:
    if not path.exists():
        raise DatasetError(f'{path}: the video is missing; correct the path in the sources')
    video = cv2.VideoCapture(str(path), backend)
    if not video.isOpened():
        raise DatasetError(f'{path}: cannot be opened; {_FOREIGN}')
    return video


def _pictures(folder: Path) -> list[Path]:
    names = [p.name for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith('.')]
    if not names:
        raise DatasetError(f'{folder}: contains no pictures; name a video or a folder of frames')
    return [folder / name for name in sorted(names, key=natural_key)]
