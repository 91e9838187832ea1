"""Records of converted videos: what their tracklets were made from, and their boxes."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscreid.datasets.tracklet_table import TrackletRow, parse_time
from dscreid.errors import DatasetError
from dscreid.structures import Modality
from dscreid.tracks.boxes import TrackedBoxes, from_columns
from dscreid.tracks.filters import Selection
from dscreid.tracks.mot import read_mot, write_mot
from dscreid.utils.files import replacing
from dscreid.utils.records import read_json_object

#: Folder of the records in the output of a conversion.
RECORDS = '.converted'
ELSEWHERE = 'convert into a new folder'
#: Endings of the files next to a record: the boxes of the tracklets, and the tracklet of each row of the tracks.
_BOXES, _ROWS = '.boxes.txt', '.rows.npy'


@dataclass(frozen=True)
class ConvertedVideo:
    """Result of converting one video.

    Attributes:
        name: Name of the video, unique within the conversion.
        made_from: Everything that determines the crops.
        num_frames: Number of frames that could be read.
        num_boxes: Number of boxes in the tracks.
        num_crops: Number of crops written.
        left_out: Number of boxes that each rule left out.
        splits: Number of times that a gap split a track.
        tracklets: Rows of the table, as cells by column.
    """

    name: str
    made_from: dict[str, Any]
    num_frames: int
    num_boxes: int
    num_crops: int
    left_out: dict[str, int]
    splits: int
    tracklets: list[dict[str, str]]

    def rows(self) -> list[TrackletRow]:
        """Rows of the table."""
        return [_row(cells) for cells in self.tracklets]

    def describe(self) -> str:
        """Describe the counts in one or more lines."""
        lines = [
            f'{self.name}: {self.num_frames:,} frames, {self.num_boxes:,} boxes -> {self.num_crops:,} crops in '
            f'{len(self.tracklets):,} tracklets'
        ]
        if self.left_out:
            counts = ', '.join(f'{count:,} {rule}' for rule, count in self.left_out.items())
            lines.append(f'  boxes left out: {counts}')
        if self.splits:
            lines.append(f'  tracks split at gaps: {self.splits:,}')
        if self.left_out.get('beyond the end of the video'):
            lines.append('  boxes beyond the end: is the video complete, and do the tracks belong to it?')
        return '\n'.join(lines)


def _row(cells: dict[str, str]) -> TrackletRow:
    start, end = (parse_time(cells.get(column, '')) for column in ('start_time', 'end_time'))
    modality = Modality(cells['modality'])
    return TrackletRow(cells['tracklet'], cells['camera'], modality, cells['folder'], (), start, end)


def identity_of(path: Path) -> list[Any]:
    """Describe path, size and time of the last change of a file, or of all files in a folder."""
    paths = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    stats = [inside.stat() for inside in paths]
    return [str(path.absolute()), sum(stat.st_size for stat in stats), max((s.st_mtime_ns for s in stats), default=0)]


def write_record(out: Path, video: ConvertedVideo, selection: Selection) -> None:
    """Write the boxes of the tracklets, and finally the record, which marks the video as finished."""
    write_mot(record_path(out, video.name, _BOXES), replace(selection.tracked, track=selection.tracked_in))
    with replacing(record_path(out, video.name, _ROWS)) as temporary:
        np.save(temporary, selection.tracklet_of_row)
    with replacing(record_path(out, video.name)) as temporary:
        temporary.write_text(json.dumps(asdict(video), indent=1), encoding='utf-8')


def read_record(path: Path) -> ConvertedVideo:
    """Read a record. Raises DatasetError if it is damaged."""
    content = read_json_object(path, 'record of a converted video', ELSEWHERE)
    if content.keys() != {one.name for one in fields(ConvertedVideo)}:
        raise DatasetError(f'{path}: not a record of a converted video; {ELSEWHERE}')
    name = Path(str(content['name']))
    if name.is_absolute() or '..' in name.parts:
        raise DatasetError(f'{path}: the name of the video leaves its folder; {ELSEWHERE}')
    return ConvertedVideo(**content)


def record_path(out: Path, name: str, suffix: str = '.json') -> Path:
    """Name the record of a video, or a file next to it."""
    return out / RECORDS / f'{name.replace("/", "__")}{suffix}'


def read_conversion(folder: Path) -> dict[str, ConvertedVideo]:
    """Read the records of all finished videos of a conversion, by name; empty for other folders.

    Raises:
        DatasetError: If a record is damaged.
    """
    paths = sorted((folder / RECORDS).glob('[!.]*.json'))  # not those that a killed process left
    videos = (read_record(path) for path in paths)
    return {video.name: video for video in videos}


def read_boxes(folder: Path, video: ConvertedVideo) -> TrackedBoxes:
    """Read the tracker's boxes of the tracklets of a converted video.

    Args:
        folder: Folder that :func:`convert` wrote.
        video: Record of the video.

    Returns:
        All boxes except those that a rule other than the rate left out; ``track`` is the position in
        ``video.tracklets``.

    Raises:
        DatasetError: If the file is missing or damaged.
    """
    path = record_path(folder, video.name, _BOXES)
    if not video.tracklets:
        return from_columns([], [], [])
    if not path.is_file():
        raise DatasetError(f'{path}: the boxes of {video.name} are missing; {ELSEWHERE}')
    boxes = read_mot(path)
    if set(boxes.track.tolist()) != set(range(len(video.tracklets))):
        raise DatasetError(f'{path}: does not fit the record of {video.name}; {ELSEWHERE}')
    return boxes


def read_tracklet_of_row(folder: Path, video: ConvertedVideo) -> npt.NDArray[np.int64]:
    """Read the tracklet of each box of the tracker's output.

    Args:
        folder: Folder that :func:`convert` wrote.
        video: Record of the video.

    Returns:
        int64 (R,), position in ``video.tracklets`` of each box of ``read_tracks``; -1 for boxes of no tracklet.

    Raises:
        DatasetError: If the file is missing or damaged.
    """
    path = record_path(folder, video.name, _ROWS)
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DatasetError(f'{path}: the rows of {video.name} are missing; {ELSEWHERE}') from None
    except (ValueError, EOFError, OSError) as error:
        raise DatasetError(f'{path}: cannot be read ({error}); {ELSEWHERE}') from None
    if found.shape != (video.num_boxes,) or found.dtype != np.int64 or found.max(initial=-1) >= len(video.tracklets):
        raise DatasetError(f'{path}: does not fit the record of {video.name}; {ELSEWHERE}')
    return found
