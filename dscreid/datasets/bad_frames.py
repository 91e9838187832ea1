"""Handling of unreadable frames: raise an error, substitute the frame, or leave out the tracklet."""

import hashlib
import json
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from dscreid.datasets.decoding import choose_decoder, decode_frame
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


def with_substitutes(tracklet: Tracklet, bad: Container[str], root: Path) -> Tracklet:
    """Replace the bad frames of a tracklet by the nearest good ones; of two at the same distance, by the earlier one.

    Raises DatasetError if all frames are bad.
    """
    frames = tracklet.frames
    good = np.array([place for place, frame in enumerate(frames) if frame not in bad], dtype=np.int64)
    if not len(good):
        remedy = "on_bad_frame='skip_tracklet' leaves such tracklets out"
        raise DatasetError(f'{root / frames[0]}: all {len(frames)} frames of its tracklet are bad; {remedy}')
    nearest = (good[np.abs(good - place).argmin()] for place in range(len(frames)))
    return replace(tracklet, frames=tuple(frames[place] for place in nearest))
