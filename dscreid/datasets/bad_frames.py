"""What a dataset does with frames that cannot be read: refuse, substitute, or leave the tracklet out."""

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
from dscreid.datasets.storage import FrameStorage
from dscreid.errors import ConfigError, DatasetError, FrameError
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

    @classmethod
    def choose(cls, value: str) -> 'OnBadFrame':
        """The choice that a config names.

        Raises:
            ConfigError: There is no such choice.
        """
        try:
            return cls(value)
        except ValueError:
            names = ', '.join(repr(choice.value) for choice in cls)
            raise ConfigError(f'on_bad_frame must be one of {names}, got {value!r}') from None


def nearest_first(position: int, length: int) -> Iterator[int]:
    """Other positions of a sequence by their distance, of two at one distance the earlier first.

    Args:
        position: In [0, length).
        length: Length of the sequence.

    Yields:
        Each of the ``length - 1`` other positions once.
    """
    for distance in range(1, length):
        for other in (position - distance, position + distance):
            if 0 <= other < length:
                yield other


class FrameMarks:
    """Which frames of a dataset's tracklets failed, marked by all its workers.

    The marks lie in shared memory, one byte a frame, and are only ever set: copies of the dataset in workers,
    persistent ones too, mark the same bytes, and the set of marked frames depends on the draws alone.

    Args:
        tracklets: The records, in dataset order.
    """

    def __init__(self, tracklets: Sequence[Tracklet]) -> None:
        lengths = [len(tracklet) for tracklet in tracklets]
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self._marks = torch.zeros(int(self._starts[-1]), dtype=torch.uint8).share_memory_()

    def __deepcopy__(self, memo: dict) -> 'FrameMarks':
        """Marks of their own, in shared memory again (MMEngine copies the dataset that it is given)."""
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
    """Why a frame cannot be used, decided by the decoder that training uses; None where it can.

    Raises:
        DatasetError: See ``FrameStorage.read``.
    """
    try:
        decode_frame(storage, frame, choose_decoder('auto')[1])
    except FrameError as error:
        return str(error)
    return None


def scan_frames(
    check: Callable[[str], Any], frames: Sequence[str], jobs: int, description: str
) -> Iterator[Any]:
    """Check many frames in threads, in order and with a progress bar.

    Args:
        check: What is done with each; called in threads.
        frames: Paths.
        jobs: Number of threads.
        description: Text beside the bar.

    Yields:
        Results of ``check`` in the order of ``frames``.
    """
    chunks = [frames[start : start + _CHUNK] for start in range(0, len(frames), _CHUNK)]
    pool = ThreadPoolExecutor(jobs)
    try:
        results = pool.map(lambda chunk: [check(frame) for frame in chunk], chunks)
        yield from track((r for chunk in results for r in chunk), description, total=len(frames))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for what has not begun


def find_bad_frames(storage: FrameStorage, tracklets: Sequence[Tracklet], fingerprint: str) -> dict[str, str]:
    """Decode every frame once; later calls read what the first one found.

    The result is kept in ``cache_folder()``, under the fingerprint and the root. Of a kept result the bad frames
    are checked again, so that frames which were mended come back. Raw pixels have nothing that could fail: theirs are
    checksums, which are compared at every reading.

    Args:
        storage: Where the frames lie.
        tracklets: The records.
        fingerprint: Of the records.

    Returns:
        Bad frame → why.

    Raises:
        DatasetError: See ``FrameStorage.read``.
    """
    if storage.frame_format is not None and storage.frame_format.encoding == 'raw':
        return {}
    place = hashlib.sha256(
        f'{fingerprint} {storage.root.resolve()}'.encode('utf-8', 'surrogatepass')
    ).hexdigest()
    file = cache_folder() / 'bad_frames' / f'{place[:24]}.json'
    # processes of one run come here together: the first one checks, the others read
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
    """Frames that were bad before; None where nothing usable is kept."""
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return None
    bad = content.get('bad') if isinstance(content, dict) else None
    known = isinstance(bad, list) and all(isinstance(frame, str) for frame in bad)
    return bad if known and content.get('fingerprint') == fingerprint else None


def without_bad_frames(tracklets: Sequence[Tracklet], bad: Mapping[str, str]) -> np.ndarray:
    """Bool (N,), which tracklets hold none of the bad frames."""
    return np.array([not any(frame in bad for frame in t.frames) for t in tracklets], dtype=bool)


def load_or_substitute(
    load: Callable[[str], np.ndarray], frames: Sequence[str], position: int
) -> tuple[np.ndarray, list[int]]:
    """A frame, or the nearest readable one of its tracklet; each frame is tried at most once.

    Args:
        load: Reads a frame; raises ``FrameError`` where it cannot.
        frames: All frames of the tracklet.
        position: The wanted one.

    Returns:
        The loaded frame, and the positions that failed before it.

    Raises:
        DatasetError: No frame of the tracklet can be read.
    """
    failed: list[int] = []
    for place in (position, *nearest_first(position, len(frames))):
        try:
            return load(frames[place]), failed
        except FrameError as error:
            failed.append(place)
            last = error
    raise DatasetError(
        f'none of the {len(frames)} frames can be read, so nothing can be substituted; last: {last}; '
        "on_bad_frame='skip_tracklet' leaves such tracklets out"
    )


def describe_frames(entries: Iterable[Mapping[str, str]], limit: int = 10) -> str:
    """Frames of a bad-frame record in one line: the first ``limit`` paths and how many more there are."""
    frames = [entry['frame'] for entry in entries]
    more = f' and {len(frames) - limit} more' if len(frames) > limit else ''
    return ', '.join(frames[:limit]) + more
