"""When tracklets were in view: two of one camera at the same time are different people."""

from collections.abc import Hashable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.errors import DatasetError
from dscreid.tracks.conversion_record import read_boxes, read_conversion


class Presence(NamedTuple):
    """When N tracklets were in view.

    Attributes:
        view: int64 (N,), number of the camera and sensor, or of the video if only its frames are known.
        start: float64 (N,), in seconds, or in frames of the video; NaN if unknown.
        end: float64 (N,), of the last frame; NaN if unknown.
    """

    view: npt.NDArray[np.int64]
    start: npt.NDArray[np.float64]
    end: npt.NDArray[np.float64]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Tracklets whose time is known, bool (N,)."""
        return np.isfinite(self.start)

    def together(self, rows: slice = slice(None)) -> npt.NDArray[np.bool_]:
        """Find the tracklets that one camera saw at the same time, bool (len(rows), N); none is with itself."""
        with np.errstate(invalid='ignore'):
            overlap = (self.start[rows, None] <= self.end) & (self.start <= self.end[rows, None])
        overlap &= self.view[rows, None] == self.view
        numbers = np.arange(len(self.view))[rows]
        overlap[np.arange(len(numbers)), numbers] = False
        return overlap

    def pairs(self) -> npt.NDArray[np.int64]:
        """List the pairs of :meth:`together`, each once, int64 (P, 2)."""
        found = [np.zeros((0, 2), dtype=np.int64)]
        for view in np.unique(self.view[self.known]):
            rows = np.flatnonzero(self.known & (self.view == view))
            rows = rows[np.argsort(self.start[rows], kind='stable')]
            numbers = np.arange(len(rows))
            # each one is together with those after it that start before it ends
            counts = np.searchsorted(self.start[rows], self.end[rows], side='right') - numbers - 1
            first = np.repeat(numbers, counts)
            second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
            found.append(np.column_stack([rows[first], rows[second]]))
        return np.concatenate(found)


def presence_of(rows: Sequence[TrackletRow], root: Path | None = None) -> Presence:
    """Find when tracklets were in view, from the times of the table.

    Args:
        rows: The tracklets.
        root: Folder of the data set. If ``dscreid tracks`` wrote it, the frames of the video stand in for the times of
            tracklets that have none.

    Raises:
        DatasetError: If only some times have a time zone, or a record of the conversion is damaged.
    """
    times = [(row.start_time or row.end_time, row.end_time or row.start_time) for row in rows]
    zones = {time.tzinfo is None for span in times for time in span if time is not None}
    if len(zones) > 1:
        row = next(row for row, span in zip(rows, times, strict=True) if span[0] and span[0].tzinfo is None)
        raise DatasetError(
            f'{row.where or row.tracklet}: the time has no time zone, but other times have one; write all times with '
            'a time zone, or all without'
        )
    lacking = {row.tracklet for row, span in zip(rows, times, strict=True) if span[0] is None}
    frames = _frames_in_view(root, lacking) if root is not None and lacking else {}
    views: dict[Hashable, int] = {}
    view, start, end = [], [], []
    for row, (first, last) in zip(rows, times, strict=True):
        key: Hashable = (row.camera, row.modality)
        span = (np.nan, np.nan)
        if first is not None and last is not None:
            span = (_seconds(first), _seconds(last))
        elif row.tracklet in frames:
            key, span = frames[row.tracklet]
        view.append(views.setdefault(key, len(views)))
        start.append(span[0])
        end.append(span[1])
    return Presence(np.array(view, np.int64), np.array(start, np.float64), np.array(end, np.float64))


def _seconds(time: datetime) -> float:
    """Convert to seconds; times without a time zone are assumed to be all in the same one."""
    return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp()


def _frames_in_view(root: Path, lacking: set[str]) -> dict[str, tuple[str, tuple[float, float]]]:
    """Find video, first and last frame of converted tracklets, by name."""
    found = {}
    for video in read_conversion(root).values():
        names = [cells['tracklet'] for cells in video.tracklets]
        if lacking.isdisjoint(names):
            continue
        boxes = read_boxes(root, video)
        for number, name in enumerate(names):
            frames = boxes.frame[boxes.track == number]
            found[name] = (video.name, (float(frames.min()), float(frames.max())))
    return found
