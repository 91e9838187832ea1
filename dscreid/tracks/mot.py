"""Boxes as MOTChallenge results: ten columns, frames from 1."""

from pathlib import Path

import numpy as np

from dscreid.tracks.boxes import TrackedBoxes, from_columns
from dscreid.tracks.tables import read_numbers, whole_numbers
from dscreid.utils.files import replacing

_WITHOUT_POSITION = ',-1,-1,-1'


def write_mot(path: Path, boxes: TrackedBoxes) -> None:
    """Write the boxes, ordered by frame and track. An unknown confidence becomes 1, as trackers write it."""
    order = np.lexsort((boxes.track, boxes.frame))
    frames, tracks = (boxes.frame[order] + 1).tolist(), boxes.track[order].tolist()
    sizes = np.round(np.column_stack([boxes.corners[:, :2], boxes.width, boxes.height])[order], 3)
    confidences = np.nan_to_num(boxes.confidence[order], nan=1.0).tolist()
    with replacing(path) as temporary, temporary.open('w', encoding='utf-8') as file:
        for frame, track, box, confidence in zip(frames, tracks, sizes.tolist(), confidences, strict=True):
            cells = ','.join(f'{value:.10g}' for value in (*box, confidence))
            file.write(f'{frame},{track},{cells}{_WITHOUT_POSITION}\n')


def read_mot(path: Path) -> TrackedBoxes:
    """Read boxes of :func:`write_mot`. Raises DatasetError if the file is missing or malformed."""
    table = read_numbers(path)
    frames, tracks = (whole_numbers(path, table[:, column], name) for column, name in enumerate(('frame', 'id')))
    return from_columns(frames - 1, tracks, table[:, 2:6], table[:, 6])
