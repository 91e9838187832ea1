"""Read the output of trackers. A file that can be read in two ways is refused, with both readings."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dscreid.datasets.index_files import read_text
from dscreid.errors import ConfigError, DatasetError
from dscreid.tracks.boxes import TrackedBoxes, from_columns

#: Formats by name, with what tells them apart.
FORMATS: Mapping[str, str] = {
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
#: Columns that `--columns` can name; the last four are an alternative to left, top, width, height.
COLUMNS = ('frame', 'id', 'confidence', 'left', 'top', 'width', 'height', 'right', 'bottom')
_FRAME_COLUMNS = ('frame', 'frame_index', 'frame_id', 'frame_number', 'frame_idx')
_ULTRALYTICS_FILE = re.compile(r'_(\d+)\.txt$')

Matrix = npt.NDArray[np.float64]


class TrackFile(NamedTuple):
    """What a reader needs to know.

    Attributes:
        path: File, or folder of Ultralytics' files.
        size: Width and height of the video in pixels; needed for normalized boxes.
        num_frames: Frames of the video, or None if unknown.
        first_frame: Number that the tracker gave the first frame, 0 or 1; None if the format decides.
        columns: Names or numbers (from 1) of the columns, for ``columns`` and the frame of ``supervision``.
        video: Name of the video in a file with several, or None.
    """

    path: Path
    size: tuple[int, int] | None = None
    num_frames: int | None = None
    first_frame: int | None = None
    columns: Mapping[str, str] = {}
    video: str | None = None


def read_tracks(file: TrackFile, format_name: str | None = None) -> TrackedBoxes:
    """Read the boxes of one video.

    Args:
        file: What to read.
        format_name: One of ``FORMATS``, or None to tell it from the content.

    Returns:
        The boxes. Frames count from 0; ids of untracked boxes are -1.

    Raises:
        DatasetError: If the file is missing, malformed, ambiguous or without boxes.
        ConfigError: If the format is unknown or an option is missing.
    """
    if format_name is None:
        format_name = detect_format(file)
    if format_name not in _READERS:
        raise ConfigError(f'unknown format {format_name!r} of tracks; known are {", ".join(FORMATS)}')
    boxes = _READERS[format_name](file)
    if not len(boxes):
        raise DatasetError(f'{file.path}: no box in it; check the path, or leave this video out')
    bad = np.flatnonzero(~np.isfinite(boxes.corners).all(axis=1))
    if len(bad):
        raise DatasetError(f'{file.path}: box {bad[0] + 1} has a coordinate that is not a number; remove it')
    return boxes


def detect_format(file: TrackFile) -> str:
    """Tell the format of a file from its content.

    Raises:
        DatasetError: If no format fits, or more than one; the message gives all readings.
        ConfigError: If columns are named, but not all that are needed.
    """
    path = file.path
    if path.is_dir():
        return 'ultralytics'
    if path.suffix.lower() == '.json':
        return 'cocovid' if isinstance(_json(path), dict) else 'supervision'
    header = _header(path)
    if header is not None:
        if {'x_min', 'y_min', 'x_max', 'y_max'} <= set(header):
            return 'supervision'
        if {'x1', 'y1', 'x2', 'y2', 'id'} <= set(header):
            return 'boxmot-csv'
        if {'frame', 'id'} <= set(file.columns):
            return 'columns'
        raise DatasetError(
            f'{path}:1: unknown columns {", ".join(header)}; name those of frame, id and box with --columns'
        )
    if {'frame', 'id', 'left'} <= set(file.columns):
        return 'columns'
    readings = _readings(_numbers(path))
    if len(readings) == 1:
        return readings[0]
    if not readings:
        raise DatasetError(
            f'{path}:1: {_numbers(path).shape[1]} columns fit no known format; name the columns with --columns'
        )
    both = '" or "'.join(f'{name}: {FORMATS[name]}' for name in readings)
    raise DatasetError(f'{path}: can be read as "{both}"; choose one with --format')


def _readings(table: Matrix) -> list[str]:
    """List the formats that a table without header can have."""
    number = table.shape[1]
    if number == 7:
        return ['mot']
    if number == 10:
        return ['mot'] if (table[:, 7:] == -1).all() else []
    if number != 9:
        return []
    if (table[:, 8] == -1).all():
        return ['boxmot-mot']
    if (table[:, 6] == 1).all():
        return ['mot-gt', 'boxmot-results']
    return ['mot-gt'] if np.isin(table[:, 6], (0, 1)).all() else []


# ---- files without header ----
def _read_mot(file: TrackFile, confidence: int | None, columns: Sequence[int]) -> TrackedBoxes:
    table = _numbers(file.path)
    if table.shape[1] not in columns:
        expected = ' or '.join(map(str, columns))
        raise DatasetError(f'{file.path}:1: {table.shape[1]} columns, but the format has {expected}')
    frames = _frames(file, _integers(file, table[:, 0], 'frame'), usual=1)
    known = None if confidence is None else table[:, confidence]
    return from_columns(frames, _integers(file, table[:, 1], 'id'), *table[:, 2:6].T, known)


def _read_mot_results(file: TrackFile) -> TrackedBoxes:
    return _read_mot(file, 6, (7, 10))


def _read_mot_ground_truth(file: TrackFile) -> TrackedBoxes:
    boxes = _read_mot(file, None, (9,))
    return boxes.take(_numbers(file.path)[:, 6] != 0)


def _read_boxmot_results(file: TrackFile) -> TrackedBoxes:
    return _read_mot(file, 8, (9,))


def _read_boxmot_mot(file: TrackFile) -> TrackedBoxes:
    return _read_mot(file, 6, (9, 10))


# ---- files with header ----
def _read_boxmot_csv(file: TrackFile) -> TrackedBoxes:
    names = {'left': 'x1', 'top': 'y1', 'right': 'x2', 'bottom': 'y2', 'id': 'id', 'confidence': 'conf'}
    return _read_named(file, {**names, 'frame': 'frame', **file.columns})


def _read_supervision(file: TrackFile) -> TrackedBoxes:
    names = {'left': 'x_min', 'top': 'y_min', 'right': 'x_max', 'bottom': 'y_max'}
    names |= {'id': 'tracker_id', 'confidence': 'confidence', **file.columns}
    if 'frame' not in names:
        found = [name for name in _FRAME_COLUMNS if name in _rows(file.path)[0]]
        if len(found) != 1:
            raise DatasetError(
                f'{file.path}: {"several" if found else "no"} columns that can be the frame'
                f'{f" ({', '.join(found)})" if found else ""}; name it with --columns frame=NAME, or add one '
                "with the sink's custom_data"
            )
        names['frame'] = found[0]
    return _read_named(file, names)


def _read_columns(file: TrackFile) -> TrackedBoxes:
    unknown = sorted(set(file.columns) - set(COLUMNS))
    missing = [name for name in ('frame', 'id', 'left', 'top') if name not in file.columns]
    if unknown or missing:
        raise ConfigError(
            f'--columns: {f"unknown {unknown}" if unknown else f"{missing} missing"}; needed are frame, id, left, '
            'top and either width and height or right and bottom'
        )
    return _read_named(file, file.columns)


def _read_named(file: TrackFile, names: Mapping[str, str]) -> TrackedBoxes:
    """Read rows with named columns; boxes by two corners or by corner and size."""
    rows = _rows(file.path)

    def column(role: str, empty: float | None = None) -> Matrix:
        return np.array([_number(file.path, line, row, names[role], empty) for line, row in enumerate(rows, 2)])

    left, top = column('left'), column('top')
    if 'right' in names and 'bottom' in names:
        width, height = column('right') - left, column('bottom') - top
    elif 'width' in names and 'height' in names:
        width, height = column('width'), column('height')
    else:
        raise ConfigError('--columns: the size of boxes is missing; name width and height, or right and bottom')
    confidence = column('confidence', np.nan) if names.get('confidence', '') in rows[0] else None
    frames = _frames(file, _integers(file, column('frame'), 'frame'), usual=None)
    return from_columns(
        frames, _integers(file, column('id', -1), 'id'), left, top, width, height, confidence
    )


# ---- Ultralytics ----
def _read_ultralytics(file: TrackFile) -> TrackedBoxes:
    if file.size is None:
        raise ConfigError(f'{file.path}: boxes are fractions of the picture, whose size is unknown')
    paths = {int(m[1]): p for p in file.path.iterdir() if (m := _ULTRALYTICS_FILE.search(p.name))}
    if not paths:
        raise DatasetError(f'{file.path}: no file named NAME_FRAME.txt; give the folder "labels" of a tracking run')
    numbers = np.array(sorted(paths), dtype=np.int64)
    tables = [_ultralytics_table(paths[number]) for number in numbers]
    kept = [(number, table) for number, table in zip(numbers, tables, strict=True) if len(table)]
    widths = {table.shape[1] for _, table in kept}
    if len(widths) > 1 or not widths <= {6, 7}:
        raise DatasetError(
            f'{file.path}: lines have {sorted(widths)} values, but tracked boxes have 6 (id) or 7 (confidence and id); '
            'run the tracker with save_txt=True'
        )
    table = np.concatenate([table for _, table in kept]) if kept else np.zeros((0, 7))
    frames = np.repeat([number for number, _ in kept], [len(table) for _, table in kept]).astype(np.int64)
    if table.shape[1] == 6:
        _check_ids(file, table[:, 5])
    scale = np.array([*file.size, *file.size], dtype=np.float64)
    center, size = np.split(table[:, 1:5] * scale, 2, axis=1)
    confidence = table[:, 5] if table.shape[1] == 7 else None
    corner = center - size / 2
    return from_columns(
        _frames(file, frames, usual=1), _integers(file, table[:, -1], 'id'), *corner.T, *size.T, confidence
    )


def _ultralytics_table(path: Path) -> Matrix:
    return _numbers(path, empty=True)


def _check_ids(file: TrackFile, values: Matrix) -> None:
    """Check that a sixth value is an id: it is the confidence if boxes were not tracked."""
    if (values != np.round(values)).any():
        raise DatasetError(
            f'{file.path}: the sixth values are confidences, so these boxes have no ids; save the output of a '
            'tracker (model.track), not of a detector'
        )
    if len(values) and (values <= 1).all() and (values >= 0).all():
        raise DatasetError(
            f'{file.path}: the sixth values can be ids or confidences of 1; save with save_conf=True, which writes both'
        )


# ---- CocoVID ----
def _read_cocovid(file: TrackFile) -> TrackedBoxes:
    content = _json(file.path)
    try:
        videos = {str(video['name']): video['id'] for video in content.get('videos', [])}
        images = content['images']
        if len({image.get('video_id') for image in images}) > 1:
            if file.video not in videos:
                raise DatasetError(
                    f'{file.path}: it has {len(videos)} videos, and none is named {file.video!r}; '
                    f'known are {", ".join(sorted(videos)[:5])}'
                )
            images = [image for image in images if image['video_id'] == videos[file.video]]
        frame_of = {image['id']: image['frame_id'] for image in images}
        found = [entry for entry in content['annotations'] if entry['image_id'] in frame_of]
        rows = [(frame_of[a['image_id']], a.get('instance_id', -1), *a['bbox'], a.get('score', np.nan)) for a in found]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 7)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f'{file.path}: not CocoVID ({error!r}); check how it was written') from None
    frames = _integers(file, table[:, 0], 'frame')
    return from_columns(frames, _integers(file, table[:, 1], 'id'), *table[:, 2:6].T, table[:, 6])


# ---- numbers ----
def _frames(file: TrackFile, frames: npt.NDArray[np.int64], usual: int | None) -> npt.NDArray[np.int64]:
    """Count frames from 0.

    Args:
        file: The file, for its options and for messages.
        frames: int64 (N,), as the tracker counts.
        usual: Number of the first frame in this format, or None if it is not fixed.
    """
    if not len(frames):
        return frames
    first = file.first_frame
    lowest, highest = int(frames.min()), int(frames.max())
    if first is None and usual is None:
        if lowest == 0:
            first = 0
        elif highest == file.num_frames:
            first = 1
        else:
            raise DatasetError(
                f'{file.path}: frames from {lowest} to {highest} can count from 0 or from 1; '
                'choose with --first-frame 0 or --first-frame 1'
            )
    first = usual if first is None else first
    assert first is not None
    if lowest < first:
        raise DatasetError(
            f'{file.path}: frame {lowest} comes before the first frame, which is {first} in this format; '
            'if the tracker counted from 0, say so with --first-frame 0'
        )
    return frames - first


def _integers(file: TrackFile, values: Matrix, what: str) -> npt.NDArray[np.int64]:
    """Convert to int64; an error names the first value that is not a whole number."""
    bad = np.flatnonzero(~(np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**53)))
    if len(bad):
        raise DatasetError(f'{file.path}: {what} {values[bad[0]]} of box {bad[0] + 1} is not a whole number')
    return values.astype(np.int64)


def _numbers(path: Path, empty: bool = False) -> Matrix:
    """Read a table of numbers, separated by commas or spaces, without header."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append([float(word) for word in line.replace(',', ' ').split()])
        except ValueError:
            raise DatasetError(f'{path}:{number}: not a line of numbers ({line.strip()[:40]!r})') from None
        if len(rows[-1]) != len(rows[0]):
            raise DatasetError(f'{path}:{number}: {len(rows[-1])} values, but {len(rows[0])} in the first line')
    if not rows and not empty:
        raise DatasetError(f'{path}: the file is empty; check the path, or leave this video out')
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 7)


def _header(path: Path) -> list[str] | None:
    """Return the column names of a CSV file, or None if its first line is numbers."""
    first = read_text(path).lstrip().partition('\n')[0]
    words = [word.strip() for word in next(csv.reader([first]), [])]
    return words if any(re.search('[A-Za-z]', word) and not _is_number(word) for word in words) else None


def _rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a CSV file with header, or of a JSON list, as dicts."""
    if path.suffix.lower() == '.json':
        rows = _json(path)
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise DatasetError(f'{path}: not a list of boxes; check how it was written')
        return rows
    header = _header(path)
    lines = list(csv.reader(io.StringIO(read_text(path)), skipinitialspace=True))
    names = header or [str(number) for number in range(1, len(lines[0]) + 1)]
    body = [line for line in (lines[1:] if header else lines) if any(word.strip() for word in line)]
    if not body:
        raise DatasetError(f'{path}: no box in it; check the path, or leave this video out')
    return [dict(zip(names, line, strict=False)) for line in body]


def _number(path: Path, line: int, row: Mapping[str, Any], name: str, empty: float | None) -> float:
    value = row.get(name)
    if value is None or str(value).strip().lower() in ('', 'none', 'nan'):
        if empty is not None and name in row:
            return empty
        raise DatasetError(f'{path}:{line}: no value in column {name!r}; name the columns with --columns')
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DatasetError(f'{path}:{line}: {value!r} in column {name!r} is not a number') from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f'{path}: not valid JSON ({error}); check how it was written') from None


_READERS: Mapping[str, Callable[[TrackFile], TrackedBoxes]] = {
    'mot': _read_mot_results,
    'mot-gt': _read_mot_ground_truth,
    'boxmot-results': _read_boxmot_results,
    'boxmot-mot': _read_boxmot_mot,
    'boxmot-csv': _read_boxmot_csv,
    'ultralytics': _read_ultralytics,
    'supervision': _read_supervision,
    'cocovid': _read_cocovid,
    'columns': _read_columns,
}
