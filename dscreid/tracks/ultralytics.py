"""Labels that Ultralytics saves with ``save_txt``: one file per frame."""

import re
from pathlib import Path

import numpy as np

from dscreid.errors import DatasetError
from dscreid.tracks.boxes import TrackedBoxes, from_columns
from dscreid.tracks.tables import Matrix, read_numbers, whole_numbers
from dscreid.tracks.track_file import TrackFile, count_from_zero

_FILE = re.compile(r'(?P<video>.+)_(?P<frame>\d+)\.txt')


def label_files(file: TrackFile) -> dict[int, Path]:
    """Find Ultralytics' files of a video, by the tracker's frame number, ascending."""
    found = [(match, path) for path in file.path.iterdir() if (match := _FILE.fullmatch(path.name))]
    videos = sorted({match['video'] for match, _ in found})
    if len(videos) > 1:
        found = [(match, path) for match, path in found if match['video'] == Path(file.video).stem]
    if not found:
        known = f' of {Path(file.video).stem!r}, but of {", ".join(videos[:5])}' if videos else ''
        raise DatasetError(f'{file.path}: no file NAME_FRAME.txt{known}; give the folder "labels" of a tracking run')
    return dict(sorted((int(match['frame']), path) for match, path in found))


def read_ultralytics(file: TrackFile) -> TrackedBoxes:
    """Read the boxes of a video; raises DatasetError if they have no ids."""
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
    return from_columns(count_from_zero(file, frames, usual=1), ids, np.hstack([center - size / 2, size]), confidence)


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
