"""A picture of many tracklets, to look at after a conversion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dscreid.datasets.storage.frame_storage import IMAGE_SUFFIXES
from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.utils.files import replacing
from dscreid.utils.natural_order import natural_key

_CELL = (128, 64)  # height and width of a crop
_LINE, _GAP = 16, 4  # height of a line of text, space between cells


def write_contact_sheet(path: Path, root: Path, rows: Sequence[TrackletRow], count: int = 40, frames: int = 8) -> None:
    """Draw evenly chosen tracklets, two per line, with evenly chosen crops of each.

    Args:
        path: ``.jpg`` or ``.png`` file to write.
        root: Folder of the data set.
        rows: All tracklets, each with its ``folder``; without any, nothing is written.
        count: Number of tracklets to draw.
        frames: Number of crops of each tracklet.
    """
    if not rows:
        return
    chosen = [rows[i] for i in _evenly(len(rows), count)]
    strips = [_strip(root, row, frames) for row in chosen]
    if len(strips) % 2:
        strips.append(np.full_like(strips[0], 255))
    lines = [np.hstack(strips[i : i + 2]) for i in range(0, len(strips), 2)]
    with replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(path.suffix, np.vstack(lines))[1].tobytes())


def _strip(root: Path, row: TrackletRow, frames: int) -> npt.NDArray[np.uint8]:
    """Draw one tracklet, uint8 (H, W, 3)."""
    height, width = _CELL
    strip = np.full((height + _LINE + _GAP, frames * (width + _GAP) + 4 * _GAP, 3), 255, dtype=np.uint8)
    names = [p.name for p in (root / row.folder).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
    names.sort(key=natural_key)
    for place, number in enumerate(_evenly(len(names), frames)):
        left = place * (width + _GAP)
        strip[_LINE : _LINE + height, left : left + width] = _fitted(cv2.imread(str(root / row.folder / names[number])))
    label = f'{row.tracklet}  ({len(names)} frames)'.encode('ascii', 'replace').decode()
    cv2.putText(strip, label, (0, _LINE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _fitted(image: npt.NDArray[Any] | None) -> npt.NDArray[np.uint8]:
    """Fit a crop into a gray cell without distorting it."""
    height, width = _CELL
    cell = np.full((height, width, 3), 200, dtype=np.uint8)
    if image is not None:
        scale = min(height / image.shape[0], width / image.shape[1])
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        top, left = (height - size[1]) // 2, (width - size[0]) // 2
        cell[top : top + size[1], left : left + size[0]] = small
    return cell


def _evenly(total: int, count: int) -> list[int]:
    """Choose at most ``count`` of ``total`` positions, evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(total, count)).round().astype(int)).tolist()
