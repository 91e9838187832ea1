"""Read the output of trackers. A file that fits two formats is refused; the error names both."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from dscreid.errors import ConfigError, DatasetError
from dscreid.tracks.boxes import TrackedBoxes, from_columns
from dscreid.tracks.cocovid import read_cocovid
from dscreid.tracks.tables import Matrix, csv_header, number_in, read_json, read_numbers, read_rows, whole_numbers
from dscreid.tracks.track_file import TrackFile, count_from_zero
from dscreid.tracks.ultralytics import read_ultralytics

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
        raise DatasetError(f'{path}:1: {table.shape[1]} columns fit no known format; name the columns with --columns')
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


def _read_mot(file: TrackFile, confidence: int | None, widths: Sequence[int]) -> TrackedBoxes:
    table = read_numbers(file.path)
    if table.shape[1] not in widths:
        expected = ' or '.join(map(str, widths))
        raise DatasetError(f'{file.path}:1: {table.shape[1]} columns, but the format has {expected}')
    frames = count_from_zero(file, whole_numbers(file.path, table[:, 0], 'frame'), usual=1)
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
    frames = count_from_zero(file, whole_numbers(file.path, column('frame'), 'frame'), usual=None)
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


_READERS: Mapping[str, Callable[[TrackFile], TrackedBoxes]] = {
    'mot': lambda file: _read_mot(file, 6, (7, 10)),
    'mot-gt': lambda file: _read_mot(file, None, (9,)),
    'boxmot-results': lambda file: _read_mot(file, 8, (9,)),
    'boxmot-mot': lambda file: _read_mot(file, 6, (9,)),
    'ultralytics': read_ultralytics,
    'cocovid': read_cocovid,
}
