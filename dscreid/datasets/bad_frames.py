"""Handling of unreadable frames: raise an error, substitute the frame, or leave out the tracklet."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dscreid.datasets.decoding import choose_decoder, decode_frame
from dscreid.datasets.index_files import shortened
from dscreid.datasets.storage import FrameStorage
from dscreid.errors import DatasetError, FrameError
from dscreid.structures import Tracklet
from dscreid.utils.files import cache_folder, locked, replacing
from dscreid.utils.machine import usable_cores
from dscreid.utils.progress import track

_CHUNK = 256


class OnBadFrame(str, Enum):
    """Choices of ``on_bad_frame``."""

    ERROR = 'error'
    SUBSTITUTE = 'substitute'
    SKIP_TRACKLET = 'skip_tracklet'


class FrameMarks:
    """Marks for the frames that failed to load, in shared memory, which all workers of a dataset set."""

    def __init__(self, tracklets: Sequence[Tracklet]) -> None:
        lengths = [len(tracklet) for tracklet in tracklets]
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self._marks = torch.zeros(int(self._starts[-1]), dtype=torch.uint8).share_memory_()

    def __deepcopy__(self, memo: dict) -> 'FrameMarks':
        """Copy the marks to new shared memory (MMEngine copies the dataset that it receives)."""
        copied = object.__new__(FrameMarks)
        copied._starts = self._starts
        copied._marks = self._marks.clone().share_memory_()
        return copied

    def mark(self, tracklet: int, position: int) -> None:
        """Mark a frame of a tracklet."""
        self._marks[self._starts[tracklet] + position] = 1

    def marked(self) -> list[tuple[int, int]]:
        """``(tracklet, position)`` of the marked frames, ascending."""
        flat = np.flatnonzero(self._marks.numpy())
        rows = np.searchsorted(self._starts, flat, side='right') - 1
        return [(int(row), int(place)) for row, place in zip(rows, flat - self._starts[rows], strict=True)]


def fault_of(storage: FrameStorage, frame: str) -> str | None:
    """Explain why a frame cannot be used; None if the decoder used in training can read it."""
    try:
        decode_frame(storage, frame, choose_decoder('auto')[1])
    except FrameError as error:
        return str(error)
    return None


def scan_frames(check: Callable[[str], Any], frames: Sequence[str], jobs: int, description: str) -> Iterator[Any]:
    """Apply ``check`` to many frames in ``jobs`` threads with a progress bar; yield the results in order."""
    chunks = [frames[start : start + _CHUNK] for start in range(0, len(frames), _CHUNK)]
    pool = ThreadPoolExecutor(jobs)
    try:
        results = pool.map(lambda chunk: [check(frame) for frame in chunk], chunks)
        yield from track((r for chunk in results for r in chunk), description, total=len(frames))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for pending work


def find_bad_frames(storage: FrameStorage, tracklets: Sequence[Tracklet], fingerprint: str) -> dict[str, str]:
    """Map the frames that cannot be decoded to the reason, and cache the result for later calls.

    The first call decodes every frame and stores the bad ones in ``cache_folder()``. Later calls check only those
    again, so that repaired frames are used. Frames packed as raw pixels need no decoding.
    """
    if storage.frame_format is not None and storage.frame_format.encoding == 'raw':
        return {}
    place = f'{fingerprint} {storage.root.resolve()}'.encode('utf-8', 'surrogatepass')
    file = cache_folder() / 'bad_frames' / f'{hashlib.sha256(place).hexdigest()[:24]}.json'
    # all processes of a run arrive here together: the first one checks, the others read its result
    with locked(file.with_suffix('.lock')):
        frames = dict.fromkeys(frame for t in tracklets for frame in t.frames)
        kept = _read_kept(file, fingerprint)
        suspects = list(frames) if kept is None else [frame for frame in kept if frame in frames]
        faults = scan_frames(lambda f: fault_of(storage, f), suspects, usable_cores(), 'check frames')
        bad = {frame: fault for frame, fault in zip(suspects, faults, strict=True) if fault is not None}
        with replacing(file) as temporary:
            content = dict(fingerprint=fingerprint, root=str(storage.root), bad=sorted(bad))
            temporary.write_text(json.dumps(content), encoding='utf-8')
    return bad


def _read_kept(file: Path, fingerprint: str) -> list[str] | None:
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        known = content['fingerprint'] == fingerprint and all(isinstance(frame, str) for frame in content['bad'])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    return content['bad'] if known else None


def load_or_substitute(
    load: Callable[[str], np.ndarray | FrameError], frames: Sequence[str], position: int
) -> tuple[np.ndarray, list[int]]:
    """Load the frame of a tracklet at ``position``, or the nearest one for which ``load`` returns no error.

    Ties go to the earlier one. Also returns the positions that failed; raises DatasetError if all of them do.
    """
    failed: list[int] = []
    for place in sorted(range(len(frames)), key=lambda place: (abs(place - position), place)):
        found = load(frames[place])
        if not isinstance(found, FrameError):
            return found, failed
        failed.append(place)
    remedy = "on_bad_frame='skip_tracklet' leaves such tracklets out"
    raise DatasetError(f'none of the {len(frames)} frames can be read; last: {found}; {remedy}')


def describe_frames(entries: Iterable[Mapping[str, str]]) -> str:
    """Format bad-frame records in one line: the first paths and the number of remaining ones."""
    return shortened([entry['frame'] for entry in entries], 10)
