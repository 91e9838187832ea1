"""Read the output of trackers. A file that can be read in two ways is refused, with both readings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dscreid.errors import ConfigError, DatasetError
from dscreid.tracks.boxes import TrackedBoxes, from_columns
from dscreid.tracks.tables import Matrix, csv_header, number_in, read_json, read_numbers, read_rows, whole_numbers

#: Formats by name, with their columns.
FORMATS: Mapping[str, str] = MappingProxyType(
    {
        'mot': 'MOTChallenge results: frame,id,left,top,width,height,confidence[,x,y,z]',
        'mot-gt': 'MOTChallenge ground truth, CVAT: frame,id,left,top,width,height,considered,class,visibility',
        'boxmot-results': 'boxmot write_mot_results: frame,id,left,top,width,height,1,class+1,confidence',
        'boxmot-mot': 'boxmot save_mot: frame,id,left,top,width,height,confidence,class,-1',
        'boxmot-csv': 'boxmot save_csv: header frame,x1,y1,x2,y2,id,conf,...',
        'ultralytics': 'folder of Ultralytics save_txt: one file per frame, class x y width height [confidence] id',
        'supervision': 'supervision CSVSink or JSONSink: x_min,y_min,x_max,y_max,...,tracker_id and a frame column',
        'cocovid': 'CocoVID: JSON with images, videos and annotations',
        'columns': 'any CSV file, with the columns named by --columns',
    }
)
#: Names that ``--columns`` accepts.
COLUMNS = ('frame', 'id', 'left', 'top', 'width', 'height', 'right', 'bottom', 'confidence')
_FRAME_COLUMNS = ('frame', 'frame_index', 'frame_id', 'frame_number', 'frame_idx')
_ULTRALYTICS_FILE = re.compile(r'(?P<video>.+)_(?P<frame>\d+)\.txt')


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


def read_tracks(file: TrackFile, format_name: str | None = None) -> TrackedBoxes:
    """Read the boxes of one video.

    Args:
        file: What to read.
        format_name: One of ``FORMATS``, or None to detect it.

    Returns:
        The boxes. Frames count from 0; ids of untracked boxes are negative.

    Raises:
        DatasetError: If the file is missing, malformed, ambiguous, or has no boxes.
        ConfigError: If the format is unknown or columns are missing.
    """
    format_name = format_name or detect_format(file)
    if format_name not in FORMATS:
        raise ConfigError(f'unknown format {format_name!r} of tracks; known are {", ".join(FORMATS)}')
    boxes = _read_named(file, NAMED[format_name](file)) if format_name in NAMED else _READERS[format_name](file)
    if not len(boxes):
        raise DatasetError(f'{file.path}: contains no box; correct the path, or remove this video from the list')
    bad = np.flatnonzero(~np.isfinite(boxes.corners).all(axis=1))
    if len(bad):
        raise DatasetError(f'{file.path}: box {bad[0] + 1} has a coordinate that is not a number; remove it')
    return boxes


def detect_format(file: TrackFile) -> str:
    """Detect the format of a file from its content.

    Raises:
        DatasetError: If no format fits, or several do; the message names them.
    """
    path = file.path
    if path.is_dir():
        return 'ultralytics'
    if path.suffix.lower() == '.json':
        return 'cocovid' if isinstance(read_json(path), dict) else 'supervision'
    header = csv_header(path)
    if header is not None and {'x_min', 'y_min', 'x_max', 'y_max'} <= set(header):
        return 'supervision'
    if {'frame', 'id'} <= set(file.columns):
        return 'columns'
    if header is not None:
        if {'x1', 'y1', 'x2', 'y2', 'id'} <= set(header):
            return 'boxmot-csv'
        raise DatasetError(f'{path}:1: unknown columns {", ".join(header)}; name frame, id and box with --columns')
    table = read_numbers(path)
    readings = _readings(table)
    if not readings:
        raise DatasetError(f'{path}:1: {table.shape[1]} columns are no known format; name the columns with --columns')
    if len(readings) > 1:
        both = '" or "'.join(f'{name}: {FORMATS[name]}' for name in readings)
        raise DatasetError(f'{path}: can be read as "{both}"; choose one with --format')
    return readings[0]


def _readings(table: Matrix) -> list[str]:
    """List the formats that a table without a header can have."""
    number = table.shape[1]
    if number == 7 or (number == 10 and (table[:, 7:] == -1).all()):
        return ['mot']
    if number != 9:
        return []
    if (table[:, 8] == -1).all():
        return ['boxmot-mot']
    if (table[:, 6] == 1).all():
        return ['mot-gt', 'boxmot-results']
    return ['mot-gt'] if np.isin(table[:, 6], (0, 1)).all() else []


# ---- files without a header ----
def _read_mot(file: TrackFile, confidence: int | None, widths: Sequence[int]) -> TrackedBoxes:
    table = read_numbers(file.path)
    if table.shape[1] not in widths:
        expected = ' or '.join(map(str, widths))
        raise DatasetError(f'{file.path}:1: {table.shape[1]} columns, but the format has {expected}')
    frames = _from_zero(file, whole_numbers(file.path, table[:, 0], 'frame'), usual=1)
    known = None if confidence is None else table[:, confidence]
    boxes = from_columns(frames, whole_numbers(file.path, table[:, 1], 'id'), table[:, 2:6], known)
    return boxes.take(table[:, 6] != 0) if confidence is None else boxes


def _read_named(file: TrackFile, names: Mapping[str, str]) -> TrackedBoxes:
    """Read rows with named columns; a box is two corners, or a corner and a size."""
    rows = read_rows(file.path)
    by_corner = {'right', 'bottom'} <= set(names)
    if missing := {'frame', 'id', 'left', 'top', *(() if by_corner else ('width', 'height'))} - set(names):
        raise ConfigError(
            f'--columns: {", ".join(sorted(missing))} missing; name frame, id, left, top, and either width and height '
            'or right and bottom'
        )

    def column(role: str, empty: float | None = None) -> Matrix:
        cells = (number_in(f'{file.path}:{line}', row, names[role], empty) for line, row in enumerate(rows, 2))
        return np.fromiter(cells, dtype=np.float64, count=len(rows))

    left, top = column('left'), column('top')
    size = (column('right') - left, column('bottom') - top) if by_corner else (column('width'), column('height'))
    confidence = column('confidence', np.nan) if names.get('confidence') in rows[0] else None
    frames = _from_zero(file, whole_numbers(file.path, column('frame'), 'frame'), usual=None)
    boxes = np.column_stack([left, top, *size])
    return from_columns(frames, whole_numbers(file.path, column('id', -1), 'id'), boxes, confidence)


def _boxmot_names(file: TrackFile) -> dict[str, str]:
    names = {'left': 'x1', 'top': 'y1', 'right': 'x2', 'bottom': 'y2', 'id': 'id', 'confidence': 'conf'}
    if 'frame' not in (csv_header(file.path) or ()) and 'frame' not in file.columns:
        raise DatasetError(f'{file.path}: no column "frame"; save it again with save_csv(path, frame=...)')
    return {'frame': 'frame', **names, **file.columns}


def _supervision_names(file: TrackFile) -> dict[str, str]:
    names = {'left': 'x_min', 'top': 'y_min', 'right': 'x_max', 'bottom': 'y_max'}
    names |= {'id': 'tracker_id', 'confidence': 'confidence', **file.columns}
    if 'frame' not in names:
        first = read_rows(file.path)[0]
        found = [name for name in _FRAME_COLUMNS if name in first]
        if len(found) != 1:
            which = f'several columns can be the frame ({", ".join(found)})' if found else 'no column is the frame'
            raise DatasetError(
                f"{file.path}: {which}; name it with --columns frame=NAME, or add it with the sink's custom_data"
            )
        names['frame'] = found[0]
    return names


def _given_names(file: TrackFile) -> dict[str, str]:
    if unknown := sorted(set(file.columns) - set(COLUMNS)):
        raise ConfigError(f'--columns: unknown {", ".join(unknown)}; known are {", ".join(COLUMNS)}')
    return dict(file.columns)


#: Functions that find the columns of a file, by the names in ``COLUMNS``, for the formats with named columns.
NAMED: Mapping[str, Callable[[TrackFile], dict[str, str]]] = MappingProxyType(
    {'boxmot-csv': _boxmot_names, 'supervision': _supervision_names, 'columns': _given_names}
)


# ---- Ultralytics ----
def label_files(file: TrackFile) -> dict[int, Path]:
    """Find Ultralytics' files of a video, by the tracker's number of the frame, ascending."""
    found = [(match, path) for path in file.path.iterdir() if (match := _ULTRALYTICS_FILE.fullmatch(path.name))]
    videos = sorted({match['video'] for match, _ in found})
    if len(videos) > 1:
        found = [(match, path) for match, path in found if match['video'] == Path(file.video).stem]
    if not found:
        known = f' of {Path(file.video).stem!r}, but of {", ".join(videos[:5])}' if videos else ''
        raise DatasetError(f'{file.path}: no file NAME_FRAME.txt{known}; give the folder "labels" of a tracking run')
    return dict(sorted((int(match['frame']), path) for match, path in found))


def _read_ultralytics(file: TrackFile) -> TrackedBoxes:
    tables = {number: read_numbers(path, may_be_empty=True) for number, path in label_files(file).items()}
    tables = {number: table for number, table in tables.items() if len(table)}
    widths = {table.shape[1] for table in tables.values()}
    if len(widths) > 1 or not widths <= {6, 7}:
        raise DatasetError(
            f'{file.path}: lines have {" and ".join(map(str, sorted(widths)))} values, but those of tracked boxes have '
            '6 (with id) or 7 (with confidence and id); save the output of model.track with save_txt=True'
        )
    table = np.concatenate([np.zeros((0, max(widths, default=7))), *tables.values()])
    if table.shape[1] == 6:
        _check_ids(file, table[:, 5])
    frames = np.repeat(np.array(list(tables), dtype=np.int64), [len(table) for table in tables.values()])
    center, size = np.split(table[:, 1:5] * np.array([*file.size, *file.size]), 2, axis=1)
    ids = whole_numbers(file.path, table[:, -1], 'id')
    confidence = table[:, 5] if table.shape[1] == 7 else None
    return from_columns(_from_zero(file, frames, usual=1), ids, np.hstack([center - size / 2, size]), confidence)


def _check_ids(file: TrackFile, values: Matrix) -> None:
    """Check that the sixth values are ids; without tracking they are confidences."""
    if (values != np.round(values)).any():
        raise DatasetError(
            f'{file.path}: the sixth values are confidences, so the boxes have no ids; save the output of a tracker '
            '(model.track), not of a detector'
        )
    if len(values) and ((values == 0) | (values == 1)).all():
        raise DatasetError(
            f'{file.path}: the sixth values can be ids or confidences of 1; save again with save_conf=True, which '
            'writes both'
        )


# ---- CocoVID ----
class CocoVideo(NamedTuple):
    """Part of a CocoVID file that belongs to one video: its entries in ``images`` and ``annotations``."""

    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]


def coco_video(file: TrackFile, content: Any) -> CocoVideo:
    """Find the entries of a video in the content of a CocoVID file; raises DatasetError if it is another one."""
    with _coco_errors(file):
        videos = {str(video['name']): video['id'] for video in content.get('videos', [])}
        images = content['images']
        if len({image.get('video_id') for image in images}) > 1:
            if file.video not in videos:
                names = ', '.join(sorted(videos)[:5])
                raise DatasetError(f'{file.path}: no video is named {file.video!r}; its videos are {names}')
            images = [image for image in images if image['video_id'] == videos[file.video]]
        known = {image['id'] for image in images}
        return CocoVideo(images, [entry for entry in content['annotations'] if entry['image_id'] in known])


@contextmanager
def _coco_errors(file: TrackFile) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f'{file.path}: not a CocoVID file ({error!r}); check how it was written') from None


def _read_cocovid(file: TrackFile) -> TrackedBoxes:
    found = coco_video(file, read_json(file.path))
    with _coco_errors(file):
        frame_of = {image['id']: image['frame_id'] for image in found.images}
        rows = [
            (frame_of[a['image_id']], a.get('instance_id', -1), *a['bbox'], a.get('score', np.nan))
            for a in found.annotations
        ]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 7)
    frames = _from_zero(file, whole_numbers(file.path, table[:, 0], 'frame'), usual=0)
    return from_columns(frames, whole_numbers(file.path, table[:, 1], 'id'), table[:, 2:6], table[:, 6])


def _from_zero(file: TrackFile, frames: npt.NDArray[np.int64], usual: int | None) -> npt.NDArray[np.int64]:
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


_READERS: Mapping[str, Callable[[TrackFile], TrackedBoxes]] = {
    'mot': lambda file: _read_mot(file, 6, (7, 10)),
    'mot-gt': lambda file: _read_mot(file, None, (9,)),
    'boxmot-results': lambda file: _read_mot(file, 8, (9,)),
    'boxmot-mot': lambda file: _read_mot(file, 6, (9,)),
    'ultralytics': _read_ultralytics,
    'cocovid': _read_cocovid,
}
