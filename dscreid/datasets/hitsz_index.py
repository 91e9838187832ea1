"""Parsers for the index files of HITSZ-VCM, and a check for frames that belong to another tracklet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dscreid.datasets.index_files import read_lines
from dscreid.errors import DatasetError
from dscreid.structures import Modality

FRAME_NAME = re.compile(r'(\d{4})M([12])D(\d{1,9})T(\d{1,9})F([^/\\\x00-\x1f\x7f]+)', re.ASCII)
TRACK_COLUMNS = 'm start end pid camid'


@dataclass(frozen=True)
class FrameNames:
    """Frames of a name file, in file order.

    Attributes:
        paths: File of each frame relative to the parent of the person folders.
        persons: int64 (n,), the PPPP of each name.
        kinds: int64 (n,), 1 for infrared, 2 for visible.
        cameras: int64 (n,), the number after ``D``.
        tracks: int64 (n,), the number after ``T``.
    """

    paths: list[str]
    persons: np.ndarray
    kinds: np.ndarray
    cameras: np.ndarray
    tracks: np.ndarray


@dataclass(frozen=True)
class ForeignFrames:
    """Frames of a tracklet whose names give a different person, modality or camera.

    Attributes:
        row: Zero-based row of the tracklet in its info file.
        frames: Zero-based positions in the name file.
        length: Number of frames of the tracklet according to the info file.
    """

    row: int
    frames: np.ndarray
    length: int


def modality_of(kind: int) -> Modality:
    """Convert HITSZ-VCM's modality number (1 for infrared, 2 for visible)."""
    return Modality.IR if kind == 1 else Modality.RGB


def parse_frame_names(path: Path) -> FrameNames:
    """Parse ``train_name.txt`` or ``test_name.txt``.

    Args:
        path: File with one name ``PPPPM{m}D{cam}T{track}F{picture}`` per line.

    Returns:
        The frames; ``0001M1D3T2F14.jpg`` is the file ``0001/ir/D3/14.jpg``.

    Raises:
        DatasetError: If a name cannot be parsed; names file and line.
    """
    folder = {'1': 'ir', '2': 'rgb'}
    paths, numbers = [], []
    for number, name in enumerate(read_lines(path), start=1):
        match = FRAME_NAME.fullmatch(name)
        if match is None or match[5] in ('.', '..'):
            raise DatasetError(
                f'{path}:{number}: {name[:80]!r} is no frame name; expected '
                f'PPPPM{{m}}D{{cam}}T{{track}}F{{picture}} with m 1 (infrared) or 2 (visible), such as '
                '0001M1D3T2F14.jpg'
            )
        person, kind, camera, track, picture = match.groups()
        paths.append(f'{person}/{folder[kind]}/D{camera}/{picture}')
        numbers.append((int(person), int(kind), int(camera), int(track)))
    return FrameNames(paths, *np.array(numbers, dtype=np.int64).T)


def parse_tracks(path: Path, num_names: int | None = None) -> np.ndarray:
    """Parse ``track_train_info.txt`` or ``track_test_info.txt``.

    Args:
        path: File with five integers ``m start end pid camid`` per line.
        num_names: Number of lines of the name file, to check ``start`` and ``end``; None skips this check.

    Returns:
        int64 (N, 5), the columns as in the file (``start`` and ``end`` 1-based and inclusive).

    Raises:
        DatasetError: If an entry cannot be parsed or points outside the name file; names file and line.
    """
    tracks = []
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split()
        if len(fields) != 5 or not all(_is_integer(f) for f in fields):
            raise DatasetError(
                f'{path}:{number}: expected five integers "{TRACK_COLUMNS}", got {line[:80]!r}; '
                'restore the file from the dataset archive'
            )
        kind, start, end, _, _ = track = [int(f) for f in fields]
        if kind not in (1, 2):
            raise DatasetError(
                f'{path}:{number}: m must be 1 (infrared) or 2 (visible), got {kind}; correct the line'
            )
        if start < 1 or end < start or (num_names is not None and end > num_names):
            limit = '' if num_names is None else f' of {num_names:,} lines'
            raise DatasetError(
                f'{path}:{number}: frames {start} to {end} do not lie in the name file{limit}; '
                'take both files from the same archive'
            )
        tracks.append(track)
    return np.array(tracks, dtype=np.int64)


def parse_query_rows(path: Path, num_tracks: int) -> np.ndarray:
    """Parse ``query_IDX.txt``.

    Args:
        path: File with 1-based line numbers of ``track_test_info.txt``, on one or more lines.
        num_tracks: Number of lines of ``track_test_info.txt``.

    Returns:
        int64 (n,), zero-based rows.

    Raises:
        DatasetError: If a field is not a number or lies outside the info file; names file and line.
    """
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        for field in line.split():
            if not _is_integer(field) or not 1 <= int(field) <= num_tracks:
                raise DatasetError(
                    f'{path}:{number}: expected line numbers from 1 to {num_tracks:,} of '
                    f'track_test_info.txt, got {field[:40]!r}; take both files from the same archive'
                )
            rows.append(int(field) - 1)
    return np.array(rows, dtype=np.int64)


def find_foreign_frames(tracks: np.ndarray, names: FrameNames, compare_persons: bool) -> list[ForeignFrames]:
    """Find the tracklets that contain frames of another person, modality or camera.

    Args:
        tracks: int64 (N, 5) from ``parse_tracks``.
        names: The frames to which ``start`` and ``end`` refer.
        compare_persons: Whether a different person id makes a frame foreign. Use False if ids must not be used. The
            person id of a tracklet without one (negative) is never compared.

    Returns:
        One entry per tracklet with such frames, in the order of ``tracks``.
    """
    found = []
    for row, (kind, start, end, pid, camera) in enumerate(tracks.tolist()):
        span = slice(start - 1, end)
        foreign = (names.kinds[span] != kind) | (names.cameras[span] != camera)
        if compare_persons and pid >= 0:
            foreign |= names.persons[span] != pid
        if foreign.any():
            found.append(ForeignFrames(row, start - 1 + np.flatnonzero(foreign), end - start + 1))
    return found


def describe_foreign_frames(
    found: Sequence[ForeignFrames], path: Path, names: FrameNames, limit: int
) -> list[str]:
    """Describe foreign frames by line of the info file.

    Args:
        found: Entries of ``find_foreign_frames``.
        path: The info file.
        names: The frames that were compared.
        limit: Maximum number of entries to describe.

    Returns:
        At most ``limit`` phrases, and one more with the number of remaining entries.
    """
    phrases = [
        f'{path.name}:{f.row + 1} ({len(f.frames)} of {f.length} frames, first {names.paths[f.frames[0]]})'
        for f in found[:limit]
    ]
    if len(found) > limit:
        phrases.append(f'and {len(found) - limit} more')
    return phrases


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[:1] == '-' else text
    return digits.isascii() and digits.isdigit() and len(digits) <= 18
