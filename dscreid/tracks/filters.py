"""Choose the boxes that become tracklets, and count what each rule leaves out."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dscreid.errors import ConfigError
from dscreid.tracks.boxes import TrackedBoxes


@dataclass(frozen=True)
class FilterSettings:
    """Rules for boxes and tracks.

    Attributes:
        min_confidence: Minimum confidence of a box, in [0, 1]; boxes of unknown confidence pass.
        min_height: Minimum height of a box in pixels, after it is clipped to the picture.
        min_width: Minimum width of a box in pixels, after it is clipped to the picture.
        min_visible: Minimum share of a box's area that lies inside the picture, in (0, 1].
        max_gap: Longest gap within a track in seconds; a longer one splits the track.
        rate: Crops per second that are kept, or None to keep all.
        min_crops: Minimum number of crops of a tracklet.
        margin: Margin around a box as a share of its width and height, >= 0.
    """

    min_confidence: float = 0.3
    min_height: float = 48.0
    min_width: float = 16.0
    min_visible: float = 0.7
    max_gap: float = 1.0
    rate: float | None = 8.0
    min_crops: int = 6
    margin: float = 0.0

    def __post_init__(self) -> None:
        checks = {
            'min_confidence': 0 <= self.min_confidence <= 1,
            'min_height': self.min_height >= 1,
            'min_width': self.min_width >= 1,
            'min_visible': 0 < self.min_visible <= 1,
            'max_gap': self.max_gap >= 0,
            'rate': self.rate is None or self.rate > 0,
            'min_crops': self.min_crops >= 1,
            'margin': 0 <= self.margin <= 1,
        }
        for name, good in checks.items():
            if not good:
                raise ConfigError(f'{name}={getattr(self, name)} is out of range; see --help for the range')


@dataclass(frozen=True)
class Selection:
    """Boxes of the tracklets of one video.

    Attributes:
        boxes: The boxes that are kept, ordered by tracklet and frame; their corners are whole pixels inside the
            picture.
        tracklet: int64 (N,), number of each box's tracklet, from 0.
        left_out: Number of boxes that each rule left out, by rule, in the order of application.
        splits: Number of times that a gap split a track.
        tracked: The tracker's boxes of the tracklets, including those that the rate left out, in the same order; their
            corners are unchanged.
        tracked_in: int64 (M,), number of the tracklet of each of ``tracked``.
        tracklet_of_row: int64 (R,), number of the tracklet of each box of the tracker, -1 for none. A tracklet has one
            box of its track in each frame from its first to its last one, even if a rule left out the box.
    """

    boxes: TrackedBoxes
    tracklet: npt.NDArray[np.int64]
    left_out: dict[str, int]
    splits: int
    tracked: TrackedBoxes
    tracked_in: npt.NDArray[np.int64]
    tracklet_of_row: npt.NDArray[np.int64]

    @property
    def names(self) -> list[str]:
        """Names of the tracklets: the id of the track, and from the second part of a split track on, its number."""
        first = np.searchsorted(self.tracklet, np.arange(self.tracklet.max(initial=-1) + 1))
        parts: dict[int, int] = {}
        names = []
        for track in self.boxes.track[first].tolist():
            parts[track] = parts.get(track, 0) + 1
            names.append(f'{track:05d}' if parts[track] == 1 else f'{track:05d}.{parts[track]}')
        return names

    def has_same_boxes(self, other: 'Selection') -> bool:
        """Check whether another selection leads to the same crops."""
        mine, others = self.boxes, other.boxes
        pairs = ((mine.frame, others.frame), (mine.corners, others.corners), (self.tracklet, other.tracklet))
        return all(np.array_equal(a, b) for a, b in pairs)


def select_tracklets(
    boxes: TrackedBoxes, size: tuple[int, int], times: npt.NDArray[np.float64], settings: FilterSettings
) -> Selection:
    """Apply all rules to the boxes of one video.

    Args:
        boxes: The tracker's boxes.
        size: Width and height of the picture in pixels.
        times: float64 (F,), time of each frame of the video in seconds, ascending.
        settings: The rules.

    Returns:
        The boxes that remain. May be empty.
    """
    left_out: dict[str, int] = {}
    everything = boxes
    rows: npt.NDArray[np.int64] = np.arange(len(boxes))

    def keep(rule: str, mask: npt.NDArray[np.bool_]) -> None:
        nonlocal boxes, rows
        left_out[rule] = int((~mask).sum())
        boxes, rows = boxes.take(mask), rows[mask]

    keep('not tracked', boxes.track >= 0)
    keep('beyond the end of the video', boxes.frame < len(times))
    keep('empty box', (boxes.width > 0) & (boxes.height > 0))
    with np.errstate(invalid='ignore'):
        keep('low confidence', ~(boxes.confidence < settings.min_confidence))
    keep('duplicate', _first_of_each(boxes))
    inside = _clipped(boxes.corners, size)
    keep('outside the picture', _area(inside) >= settings.min_visible * _area(boxes.corners))
    inside = _clipped(boxes.corners, size)
    wide = inside[:, 2] - inside[:, 0] >= settings.min_width
    keep('too small', wide & (inside[:, 3] - inside[:, 1] >= settings.min_height))

    order = np.lexsort((boxes.frame, boxes.track))
    boxes, rows = boxes.take(order), rows[order]
    tracklet, splits = _tracklets(boxes, times, settings.max_gap)
    tracked_rows, tracked_in = rows, tracklet
    mask = _at_rate(times[boxes.frame], tracklet, settings.rate)
    keep('more than the rate', mask)
    tracklet = tracklet[mask]
    counts = np.bincount(tracklet, minlength=tracklet.max(initial=-1) + 1)
    mask = counts[tracklet] >= settings.min_crops
    keep('too short a track', mask)
    numbers, tracklet = np.unique(tracklet[mask], return_inverse=True)
    long_enough = np.isin(tracked_in, numbers)
    tracked_rows, tracked_in = tracked_rows[long_enough], np.searchsorted(numbers, tracked_in[long_enough])
    corners = _whole_pixels(_with_margin(boxes.corners, settings.margin), size)
    boxes = TrackedBoxes(boxes.frame, boxes.track, corners, boxes.confidence)
    return Selection(
        boxes=boxes,
        tracklet=tracklet.astype(np.int64),
        left_out={rule: count for rule, count in left_out.items() if count},
        splits=splits,
        tracked=everything.take(tracked_rows),
        tracked_in=tracked_in.astype(np.int64),
        tracklet_of_row=_tracklet_of_row(everything, tracked_rows, tracked_in),
    )


def _first_of_each(boxes: TrackedBoxes) -> npt.NDArray[np.bool_]:
    """Mask the most confident box of each track in each frame; of equally confident ones, the first."""
    order = np.lexsort((np.arange(len(boxes)), -np.nan_to_num(boxes.confidence, nan=-1.0), boxes.frame, boxes.track))
    track, frame = boxes.track[order], boxes.frame[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (track[1:] != track[:-1]) | (frame[1:] != frame[:-1])
    mask = np.zeros(len(order), dtype=bool)
    mask[order[first]] = True
    return mask


def _tracklets(
    boxes: TrackedBoxes, times: npt.NDArray[np.float64], max_gap: float
) -> tuple[npt.NDArray[np.int64], int]:
    """Number the tracklets of boxes ordered by track and frame; return the numbers and how many gaps split a track."""
    new_track = boxes.track[1:] != boxes.track[:-1]
    # consecutive frames are no gap, however long they last
    gap = ~new_track & (np.diff(times[boxes.frame]) > max_gap) & (np.diff(boxes.frame) > 1)
    starts = np.concatenate([[0], (new_track | gap).astype(np.int64)])[: len(boxes)]
    return np.cumsum(starts), int(gap.sum())


def _at_rate(
    times: npt.NDArray[np.float64], tracklet: npt.NDArray[np.int64], rate: float | None
) -> npt.NDArray[np.bool_]:
    """Mask the first box in each interval of 1 / rate seconds, counted from the tracklet's first box."""
    if rate is None or not len(times):
        return np.ones(len(times), dtype=bool)
    starts = np.searchsorted(tracklet, tracklet)  # the tracklets are ascending
    # a thousandth of an interval absorbs the rounding of times
    interval = np.floor((times - times[starts]) * rate + 1e-3).astype(np.int64)
    first = np.ones(len(times), dtype=bool)
    first[1:] = (tracklet[1:] != tracklet[:-1]) | (interval[1:] != interval[:-1])
    return first


def _tracklet_of_row(
    boxes: TrackedBoxes, tracked: npt.NDArray[np.int64], tracked_in: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Find the tracklet of all boxes; ``tracked`` are the rows of those of tracklets, by tracklet and frame."""
    found = np.full(len(boxes), -1, dtype=np.int64)
    order = np.lexsort((boxes.frame, boxes.track))
    tracks, frames = boxes.track[order], boxes.frame[order]
    starts = np.flatnonzero(np.diff(tracked_in, prepend=-1))
    for number, rows in enumerate(np.split(tracked, starts[1:]) if len(starts) else ()):
        begin, end = np.searchsorted(tracks, boxes.track[rows[0]] + np.array([0, 1]))
        span = np.searchsorted(frames[begin:end], boxes.frame[rows[[0, -1]]] + np.array([0, 1]))
        found[order[begin + span[0] : begin + span[1]]] = number
    confidence = boxes.confidence.copy()
    confidence[tracked] = np.inf  # of duplicates, the one that the rules chose
    found[~_first_of_each(replace(boxes, confidence=confidence))] = -1
    return found


def _with_margin(corners: npt.NDArray[np.float64], margin: float) -> npt.NDArray[np.float64]:
    size = np.tile(corners[:, 2:] - corners[:, :2], 2)
    return corners + margin * size * np.array([-1.0, -1.0, 1.0, 1.0])


def _whole_pixels(corners: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Round to whole pixels inside the picture; each box keeps at least one pixel."""
    lower = np.floor(_clipped(corners, size)[:, :2])
    lower = np.minimum(lower, np.array(size, dtype=np.float64) - 1)
    upper = np.maximum(np.ceil(_clipped(corners, size)[:, 2:]), lower + 1)
    return np.concatenate([lower, upper], axis=1)


def _clipped(corners: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    return np.clip(corners, 0.0, np.array([*size, *size], dtype=np.float64))


def _area(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.prod(np.maximum(corners[:, 2:] - corners[:, :2], 0.0), axis=1)
