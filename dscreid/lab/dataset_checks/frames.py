"""Find frames that cannot be used, and frames with the same bytes as another one."""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from dscreid.datasets.bad_frames import scan_frames
from dscreid.datasets.decoding import choose_decoder, decode_frame
from dscreid.datasets.storage import FrameStorage
from dscreid.errors import DatasetError, FrameError
from dscreid.lab.dataset_checks import Finding, Severity, warn_if

_OUTSIDE = 'outside the root'
_NOT_IN_SHARDS = 'not packed, or in a damaged shard'
#: Faults that stop a run for any value of ``on_bad_frame``.
STOPPING_FAULTS = (_OUTSIDE, _NOT_IN_SHARDS)
#: Split, tracklet and person id of the first tracklet that lists a frame. The id is None or negative if unknown.
Owner = tuple[str, int, int | None]


class CheckedFrame(NamedTuple):
    """Why a frame cannot be used, or the digest of its bytes and its (height, width) if it can."""

    fault: str | None = None
    digest: bytes = b''
    size: tuple[int, ...] = ()


@dataclass(frozen=True)
class FrameScan:
    """Results of checking the frames of a dataset."""

    frames: Mapping[str, CheckedFrame]  # by path, in the order of the given frames
    seconds: float  # wall time

    @property
    def bad(self) -> dict[str, str]:
        """Bad frame → fault."""
        return {frame: checked.fault for frame, checked in self.frames.items() if checked.fault is not None}

    @property
    def duplicates(self) -> list[list[str]]:
        """Groups of two or more frames with the same bytes."""
        groups = defaultdict(list)
        for frame, checked in self.frames.items():
            if checked.fault is None:
                groups[checked.digest].append(frame)
        return [group for group in groups.values() if len(group) > 1]


def scan_files(storage: FrameStorage, frames: Sequence[str], jobs: int, name: str = 'frames') -> FrameScan:
    """Decode each of the distinct frames as in training, in ``jobs`` threads, shown as ``name``."""
    start = time.perf_counter()
    checked = dict(zip(frames, scan_frames(partial(_check, storage), frames, jobs, f'check {name}'), strict=True))
    return FrameScan(checked, time.perf_counter() - start)


def _check(storage: FrameStorage, frame: str) -> CheckedFrame:
    content = None
    try:
        content = storage.read(frame)
        image = decode_frame(storage, frame, choose_decoder('auto')[1])
    except FrameError as error:
        if content is not None:
            return CheckedFrame('not a complete image' if len(content) else 'zero bytes')
        return CheckedFrame('missing' if 'is missing' in str(error) else 'unreadable')
    except DatasetError:
        return CheckedFrame(_OUTSIDE if storage.frame_format is None else _NOT_IN_SHARDS)
    return CheckedFrame(None, hashlib.blake2b(content, digest_size=16).digest(), image.shape[:2])


def check_frames(scan: FrameScan, owners: Mapping[str, Owner], subject: str, stops: bool) -> list[Finding]:
    """Report bad and duplicate files in one finding each; ``stops`` is whether a run stops at the bad ones."""
    return [_bad_finding(scan, subject, stops), _duplicate_finding(scan, owners, subject)]


def _bad_finding(scan: FrameScan, subject: str, stops: bool) -> Finding:
    bad, total = scan.bad, len(scan.frames)
    rate = f'{total / scan.seconds:,.0f} frames/s'
    if not bad:
        sizes = Counter(frame.size for frame in scan.frames.values())
        common = ', mostly {}x{}'.format(*sizes.most_common(1)[0][0]) if sizes else ''
        return Finding('frames', subject, Severity.OK, f'all {total:,} frames can be decoded ({rate}{common})')
    kinds = Counter(bad.values())
    message = f'{len(bad):,} of {total:,} frames cannot be used ({rate}): {_listed(kinds)}'
    remedy = 'unpack the archive again, or train with --cfg-options on_bad_frame=substitute (or skip_tracklet)'
    if _NOT_IN_SHARDS in kinds:
        remedy = 'run tools/dataset_converters/pack.py again to replace damaged shards (for other splits: a new folder)'
    severity = Severity.BROKEN if stops or _OUTSIDE in kinds else Severity.WARNING
    details = tuple(f'{frame}: {fault}' for frame, fault in bad.items())
    return Finding('frames', subject, severity, message, remedy, details)


def _listed(kinds: Counter[str]) -> str:
    return ', '.join(f'{count:,} {kind}' for kind, count in kinds.most_common())


def _duplicate_finding(scan: FrameScan, owners: Mapping[str, Owner], subject: str) -> Finding:
    duplicates = scan.duplicates
    kinds = Counter(_spread([owners[frame] for frame in group]) for group in duplicates)
    copies = sum(len(group) - 1 for group in duplicates)
    problems = [f'{copies:,} frames repeat the bytes of another one', f'groups: {_listed(kinds)}'] if copies else []
    message = '' if copies else 'no two frames have the same bytes'
    remedy = 'correct the index: frames shared by people or splits are wrong labels or leaks'
    return warn_if(problems, 'duplicates', subject, message, remedy, tuple(' = '.join(group) for group in duplicates))


def _spread(owners: Sequence[Owner]) -> str:
    """Classify a group of duplicates by what they span. Unknown persons are not compared."""
    splits, tracklets, people = (set(values) for values in zip(*owners, strict=True))
    known = {pid for pid in people if pid is not None and pid >= 0}
    if len(splits) > 1:
        return 'across splits'
    if len(known) > 1:
        return 'across people'
    if len(tracklets) == 1:
        return 'within a tracklet'
    return 'across tracklets of one person' if known and known == people else 'across tracklets'
