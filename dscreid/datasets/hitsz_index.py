"""Parsers for the index files of HITSZ-VCM, and a check for frames that belong to another tracklet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from dscreid.datasets.index_files import RESTORE, parse_integer, parse_lines
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
    """Parse ``train_name.txt`` or ``test_name.txt``, with one name ``PPPPM{m}D{cam}T{track}F{picture}`` per line.

    Returns:
        The frames; ``0001M1D3T2F14.jpg`` is the file ``0001/ir/D3/14.jpg``.

    Raises:
        DatasetError: If a name cannot be parsed; names file and line.
    """
    parsed = parse_lines(path, _parse_frame_name)
    return FrameNames([frame for frame, _ in parsed], *np.array([numbers for _, numbers in parsed], dtype=np.int64).T)


def _parse_frame_name(name: str) -> tuple[str, tuple[int, ...]]:
    match = FRAME_NAME.fullmatch(name)
    if match is None or match[5] in ('.', '..'):
        raise ValueError(
            f'{name[:80]!r} is not a frame name; expected PPPPM{{m}}D{{cam}}T{{track}}F{{picture}} with m 1 '
            '(infrared) or 2 (visible), such as 0001M1D3T2F14.jpg'
        )
    person, kind, camera, track, picture = match.groups()
    folder = {'1': 'ir', '2': 'rgb'}[kind]
    return f'{person}/{folder}/D{camera}/{picture}', (int(person), int(kind), int(camera), int(track))


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
    return np.array(parse_lines(path, lambda line: _parse_track(line, num_names)), dtype=np.int64)


def _parse_track(line: str, num_names: int | None) -> list[int]:
    try:
        kind, start, end, _, _ = track = [parse_integer(field) for field in line.split()]
    except ValueError:
        raise ValueError(f'expected five integers "{TRACK_COLUMNS}", got {line[:80]!r}; {RESTORE}') from None
    if kind not in (1, 2):
        raise ValueError(f'm must be 1 (infrared) or 2 (visible), got {kind}; correct the line')
    if start < 1 or end < start or (num_names is not None and end > num_names):
        limit = '' if num_names is None else f' of {num_names:,} lines'
        raise ValueError(
            f'frames {start} to {end} are not in the name file{limit}; take both files from the same archive'
        )
    return track


def parse_query_rows(path: Path, num_tracks: int) -> np.ndarray:
    """Parse ``query_IDX.txt``, which has 1-based line numbers of ``track_test_info.txt`` (of ``num_tracks`` lines).

    Returns:
        int64 (n,), zero-based rows.

    Raises:
        DatasetError: If a field is not a number or lies outside the info file; names file and line.
    """
    rows = parse_lines(path, lambda line: [_parse_query(field, num_tracks) for field in line.split()])
    return np.array(list(chain.from_iterable(rows)), dtype=np.int64)


def _parse_query(field: str, num_tracks: int) -> int:
    number = int(field) if field.isascii() and field.isdigit() and len(field) <= 18 else 0
    if not 1 <= number <= num_tracks:
        raise ValueError(
            f'expected line numbers from 1 to {num_tracks:,} of track_test_info.txt, got {field[:40]!r}; take both '
            'files from the same archive'
        )
    return number - 1


def find_foreign_frames(tracks: np.ndarray, names: FrameNames, compare_persons: bool) -> list[ForeignFrames]:
    """Find the tracklets that contain frames of another modality, camera or, if ``compare_persons``, known person.

    Args:
        tracks: int64 (N, 5) from ``parse_tracks``.
        names: The frames to which ``start`` and ``end`` refer.
        compare_persons: Whether to compare person ids (except of tracklets without one).

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


def describe_foreign_frames(found: Sequence[ForeignFrames], path: Path, names: FrameNames, limit: int) -> list[str]:
    """Describe at most ``limit`` entries by line of the info file, and the number of remaining ones."""
    phrases = [
        f'{path.name}:{f.row + 1} ({len(f.frames)} of {f.length} frames, first {names.paths[f.frames[0]]})'
        for f in found[:limit]
    ]
    if len(found) > limit:
        phrases.append(f'and {len(found) - limit} more')
    return phrases
