"""Write the output of a tracker again with other ids, in its own format."""

import csv
import io
import json
import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dscreid.errors import ConfigError, DatasetError
from dscreid.tracks.cocovid import coco_video
from dscreid.tracks.formats import NAMED, detect_format
from dscreid.tracks.tables import read_csv, read_json, read_text
from dscreid.tracks.track_file import TrackFile
from dscreid.tracks.ultralytics import label_files
from dscreid.utils.files import replacing

_WORD = re.compile(r'[^\s,]+')
_Row = TypeVar('_Row')


def rewrite_tracks(file: TrackFile, format_name: str | None, ids: npt.NDArray[np.int64], out: Path) -> None:
    """Write a tracker's output with other ids; all other values stay as they are.

    Only rows of this video that ``read_tracks`` reads are written; for example, rows that MOT ground truth marks as
    not considered are left out.

    Args:
        file: The output, as it was read; size, number of frames and first frame are not needed.
        format_name: One of ``FORMATS``, or None to detect it.
        ids: int64 (N,), new id of each box of ``read_tracks``, in its order; negative to leave it out.
        out: File to write; a folder for Ultralytics.

    Raises:
        DatasetError: If the file is malformed or has another number of boxes.
        ConfigError: If ``out`` is a folder with other files.
    """
    format_name = format_name or detect_format(file)
    if format_name == 'ultralytics':
        _rewrite_labels(file, ids, out)
        return
    text = _rewritten(file, format_name, ids)
    with replacing(out) as temporary:
        temporary.write_text(text, encoding='utf-8')


def _rewritten(file: TrackFile, format_name: str, ids: npt.NDArray[np.int64]) -> str:
    """Make the new content of a file."""
    if format_name == 'cocovid':
        return _json_text(_with_instances(file, ids))
    if format_name not in NAMED:
        lines = _lines(file.path)
        if format_name == 'mot-gt':
            lines = [line for line in lines if float(_WORD.findall(line)[6]) != 0]
        return _numbers_text(_chosen(file, lines, ids), 1)
    name = NAMED[format_name](file)['id']
    if file.path.suffix.lower() == '.json':
        return _json_text([{**row, name: number} for row, number in _chosen(file, read_json(file.path), ids)])
    return _csv_text(file, name, ids)


def _chosen(file: TrackFile, rows: Sequence[_Row], ids: npt.NDArray[np.int64]) -> list[tuple[_Row, int]]:
    """Pair the rows that stay with their ids."""
    if len(rows) != len(ids):
        raise DatasetError(f'{file.path}: has {len(rows):,} boxes, but had {len(ids):,}; restore the file')
    return [(row, number) for row, number in zip(rows, ids.tolist(), strict=True) if number >= 0]


def _lines(path: Path) -> list[str]:
    return [line for line in read_text(path).splitlines() if line.strip()]


def _numbers_text(chosen: Iterable[tuple[str, int]], column: int) -> str:
    """Replace one number in each line; spaces and commas stay."""
    parts = []
    for line, number in chosen:
        begin, end = list(_WORD.finditer(line))[column].span()
        parts.append(f'{line[:begin]}{number}{line[end:]}\n')
    return ''.join(parts)


def _json_text(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + '\n'


def _csv_text(file: TrackFile, name: str, ids: npt.NDArray[np.int64]) -> str:
    names, lines, has_header = read_csv(file.path)
    column = {one: number for number, one in enumerate(names)}[name]  # of equal names, the last, as when reading
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    if has_header:
        writer.writerow(names)
    for line, number in _chosen(file, lines, ids):
        writer.writerow([*line[:column], number, *line[column + 1 :]])
    return text.getvalue()


def _with_instances(file: TrackFile, ids: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Make the content of a CocoVID file with this video only."""
    content = read_json(file.path)
    found = coco_video(file, content)
    annotations = [{**one, 'instance_id': number} for one, number in _chosen(file, found.annotations, ids)]
    written = {**content, 'images': found.images, 'annotations': annotations}
    if len(found.images) < len(content['images']):
        written['videos'] = [video for video in content['videos'] if video['id'] == found.images[0]['video_id']]
    return written


def _rewrite_labels(file: TrackFile, ids: npt.NDArray[np.int64], out: Path) -> None:
    """Write Ultralytics' files of one video to a folder, which replaces one with the same files."""
    files = label_files(file)
    lines_of = {path.name: _lines(path) for path in files.values()}
    if foreign := sorted({path.name for path in out.iterdir()} - lines_of.keys()) if out.is_dir() else []:
        raise ConfigError(f'{out}: contains {foreign[0]}, which is not from this video; choose another folder')
    rows = [(name, line) for name, lines in lines_of.items() for line in lines]
    kept: dict[str, list[tuple[str, int]]] = {name: [] for name in lines_of}
    for (name, line), number in _chosen(file, rows, ids):
        kept[name].append((line, number))
    work = out.with_name(f'.{out.name}.{secrets.token_hex(4)}')
    try:
        work.mkdir(parents=True)
        for name, chosen in kept.items():
            (work / name).write_text(_numbers_text(chosen, -1), encoding='utf-8')
        shutil.rmtree(out, ignore_errors=True)
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
