"""Parsers of HITSZ-VCM's index files, and the audit of frames that belong to another tracklet."""

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
    """The frames of a name file, in its order.

    Attributes:
        paths: File of each frame relative to the folder that holds the person folders.
        persons: int64 (n,), the PPPP of each name.
        kinds: int64 (n,), 1 infrared, 2 visible.
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
    """Frames of a tracklet whose names carry another person, modality or camera.

    Attributes:
        row: Zero-based row of the tracklet in its info file.
        frames: Zero-based positions in the name file.
        length: Number of frames that the info file gives the tracklet.
    """

    row: int
    frames: np.ndarray
    length: int


def modality_of(kind: int) -> Modality:
    """Modality of HITSZ-VCM's number for it (1 infrared, 2 visible)."""
    return Modality.IR if kind == 1 else Modality.RGB


def parse_frame_names(path: Path) -> FrameNames:
    """Parse ``train_name.txt`` or ``test_name.txt``.

    Args:
        path: File with one name ``PPPPM{m}D{cam}T{track}F{picture}`` a line.

    Returns:
        The frames; ``0001M1D3T2F14.jpg`` is the file ``0001/ir/D3/14.jpg``.

    Raises:
        DatasetError: Naming file and line of a name that does not parse.
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
        path: File with five integers ``m start end pid camid`` a line.
        num_names: Number of lines of the name file, to check ``start`` and ``end``; None skips this check.

    Returns:
        int64 (N, 5), the columns as in the file (``start`` and ``end`` 1-based and inclusive).

    Raises:
        DatasetError: Naming file and line of an entry that does not parse or points outside the name file.
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
        path: File with 1-based line numbers into ``track_test_info.txt``, on one line (more lines are read
            too).
        num_tracks: Number of lines of ``track_test_info.txt``.

    Returns:
        int64 (n,), zero-based rows.

    Raises:
        DatasetError: Naming file and line of a number that is none or lies outside the info file.
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
    """List the tracklets that cover frames of another person, modality or camera.

    Args:
        tracks: int64 (N, 5) from ``parse_tracks``.
        names: The frames that ``start`` and ``end`` count.
        compare_persons: Whether a differing person id makes a frame foreign. False if ids must not be used;
            tracklets without an id (negative) are never compared.

    Returns:
        One entry per such tracklet, in the order of ``tracks``.
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
    """Phrases that name foreign frames by info-file line.

    Args:
        found: Entries of ``find_foreign_frames``.
        path: The info file.
        names: The frames that were compared.
        limit: How many entries to spell out.

    Returns:
        At most ``limit`` phrases, and one more that counts the rest.
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
