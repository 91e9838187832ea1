"""The output of a tracker for one video, and the numbers of its frames."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dscreid.errors import DatasetError


class TrackFile(NamedTuple):
    """A tracker's output for one video, and what is needed to read it.

    Attributes:
        path: File, or folder of Ultralytics' files.
        size: Width and height of the video in pixels.
        num_frames: Number of frames of the video.
        first_frame: Number that the tracker gave the first frame, 0 or 1; None if the format decides.
        columns: Column names, or numbers from 1, by the names in ``COLUMNS``.
        video: Name of the video, for files with several.
    """

    path: Path
    size: tuple[int, int]
    num_frames: int
    first_frame: int | None = None
    columns: Mapping[str, str] = MappingProxyType({})
    video: str = ''


def count_from_zero(file: TrackFile, frames: npt.NDArray[np.int64], usual: int | None) -> npt.NDArray[np.int64]:
    """Count frames, int64 (N,), from 0.

    Args:
        file: The file they are from.
        frames: Frame numbers of the tracker.
        usual: Number of the first frame in this format; None if it is not fixed.
    """
    if not len(frames):
        return frames
    first, lowest, highest = file.first_frame, int(frames.min()), int(frames.max())
    if first is None and usual is None:
        if lowest > 0 and highest != file.num_frames:
            raise DatasetError(
                f'{file.path}: frames {lowest} to {highest} can count from 0 or from 1; choose with --first-frame'
            )
        first = min(lowest, 1)
    first = usual if first is None else first
    if first is None or lowest < first:
        raise DatasetError(
            f'{file.path}: frame {lowest} is before the first one, {first}; if the tracker counted from 0, say so with '
            '--first-frame 0'
        )
    return frames - first
