"""``tracklets.csv`` or ``tracklets.parquet``: the index of tracklets from cameras of your own."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dscreid.datasets.index_files import check_paths, read_text
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality
from dscreid.utils.files import replacing

TABLE_NAMES = ('tracklets.csv', 'tracklets.parquet')
COLUMNS = ('tracklet', 'camera', 'modality', 'folder', 'frames', 'start_time', 'end_time', 'person', 'split')
_REQUIRED = ('tracklet', 'camera', 'modality')
#: Between the paths of one CSV cell.
_SEPARATOR = ';'


@dataclass(frozen=True)
class TrackletRow:
    """One line of the table.

    Attributes:
        tracklet: Unique name.
        camera: Name of the camera; a camera with a visible and an infrared sensor has one name.
        modality: Visible or infrared.
        folder: Folder with all frames of the tracklet, relative to the root; '' if ``frames`` lists them.
        frames: Paths of the frames in temporal order, relative to the root; empty if ``folder`` contains them.
        start_time: Time of the first frame; None if unknown.
        end_time: Time when the person was last in view, the last frame or later; None if unknown.
        person: Name of the person; '' if unknown.
        split: ``'train'``, ``'test'``, or '' for both.
        where: ``file:line`` for messages.
    """

    tracklet: str
    camera: str
    modality: Modality
    folder: str = ''
    frames: tuple[str, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None
    person: str = ''
    split: str = ''
    where: str = ''


def find_table(folder: Path) -> Path | None:
    """Find the table in a folder; None without one. Raises DatasetError if there are two."""
    found = [folder / name for name in TABLE_NAMES if (folder / name).is_file()]
    if len(found) > 1:
        raise DatasetError(f'{folder}: contains {found[0].name} and {found[1].name}; delete one of them')
    return found[0] if found else None


def read_table(path: Path) -> list[TrackletRow]:
    """Read the table.

    Raises:
        DatasetError: If it is missing or malformed, or a name occurs twice; names file and line.
        ConfigError: If a Parquet file cannot be read without pyarrow.
    """
    lines = _parquet_lines(path) if path.suffix == '.parquet' else _csv_lines(path)
    rows: dict[str, TrackletRow] = {}
    for number, cells in lines:
        try:
            row = _parse(cells, f'{path}:{number}')
            if row.tracklet in rows:
                raise ValueError(f'tracklet {row.tracklet!r} is also in {rows[row.tracklet].where}; rename one of them')
        except ValueError as error:
            raise DatasetError(f'{path}:{number}: {error}') from None
        check_paths((*row.frames, *filter(None, [row.folder])), row.where)
        rows[row.tracklet] = row
    if not rows:
        raise DatasetError(f'{path}: contains no tracklet; add a line for each one')
    return list(rows.values())


def write_table(path: Path, rows: Iterable[TrackletRow]) -> None:
    """Write a CSV table, replacing the file in one step."""
    cells = [
        {
            'tracklet': row.tracklet,
            'camera': row.camera,
            'modality': row.modality.value,
            'folder': row.folder,
            'frames': _SEPARATOR.join(row.frames),
            'start_time': _text_of(row.start_time),
            'end_time': _text_of(row.end_time),
            'person': row.person,
            'split': row.split,
        }
        for row in rows
    ]
    columns = [name for name in COLUMNS if name in _REQUIRED or any(line[name] for line in cells)]
    with replacing(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, columns, extrasaction='ignore', lineterminator='\n')
        writer.writeheader()
        writer.writerows(cells)


def parse_time(text: str) -> datetime | None:
    """Parse an ISO 8601 time such as ``2026-03-01T08:30:00``; None for ''. Raises ValueError."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'{text!r} is not a time such as 2026-03-01T08:30:00') from None


def _parse(cells: dict[str, Any], where: str) -> TrackletRow:
    """Parse one line; raises ValueError."""
    text = {name: str(cells.get(name) or '').strip() for name in COLUMNS if name != 'frames'}
    for name in _REQUIRED:
        if not text[name]:
            raise ValueError(f'the column {name} is empty')
    if text['modality'] not in tuple(Modality):
        raise ValueError(f'the modality is {text["modality"]!r}; write rgb or ir')
    if text['split'] not in ('', 'train', 'test'):
        raise ValueError(f'the split is {text["split"]!r}; write train or test, or leave it empty for both')
    frames = _frames(cells.get('frames'))
    if bool(frames) == bool(text['folder']):
        raise ValueError('name the pictures in either folder or frames')
    start, end = parse_time(text['start_time']), parse_time(text['end_time'])
    if start and end and (start.tzinfo is None) != (end.tzinfo is None):
        raise ValueError('start_time and end_time need the same kind of time, both with or both without a time zone')
    if start and end and end < start:
        raise ValueError('end_time is before start_time')
    return TrackletRow(
        tracklet=text['tracklet'],
        camera=text['camera'],
        modality=Modality(text['modality']),
        folder=text['folder'].strip('/'),
        frames=frames,
        start_time=start,
        end_time=end,
        person=text['person'],
        split=text['split'],
        where=where,
    )


def _frames(cell: Any) -> tuple[str, ...]:
    """Split the paths of a CSV cell; a Parquet cell may be a list."""
    paths: Sequence[Any] = str(cell or '').split(_SEPARATOR) if not isinstance(cell, list) else cell
    return tuple(path for path in (str(path).strip() for path in paths) if path)


def _csv_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=''), restkey='', strict=True)
    try:
        _check_columns(path, reader.fieldnames or ())
        lines = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise DatasetError(f'{path}:{reader.line_num + 1}: not a line of a CSV file ({error}); correct it') from None
    for number, cells in lines:
        if '' in cells:
            raise DatasetError(f'{path}:{number}: more cells than columns; put quotes around a cell with a comma')
    return lines


def _parquet_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise ConfigError(
            f'{path}: reading Parquet needs pyarrow; pip install "dscreid[tables]", or write {path.stem}.csv'
        ) from None
    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise DatasetError(f'{path}: not a Parquet file ({str(error).splitlines()[0]}); write it again') from None
    _check_columns(path, table.column_names)
    return list(enumerate(table.to_pylist(), 1))


def _check_columns(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    if missing or not {'folder', 'frames'} & set(names):
        missing = missing or ['folder or frames']
        raise DatasetError(f'{path}: the column {missing[0]} is missing; known are {", ".join(COLUMNS)}')


def _text_of(time: datetime | None) -> str:
    return '' if time is None else time.isoformat()
