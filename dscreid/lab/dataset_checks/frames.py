"""Find incomplete images, and frames with the same bytes as another one."""

import hashlib
import math
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from dscreid.datasets.bad_frames import fault_of, scan_frames
from dscreid.datasets.frame_files import path_inside
from dscreid.datasets.storage import FrameStorage
from dscreid.errors import DatasetError
from dscreid.lab.dataset_checks import Finding, Severity, warn_if
from dscreid.lab.dataset_checks.frame_header import FrameHeader, inspect_content, read_header

_OUTSIDE = 'outside the root'
_NOT_IN_SHARDS = 'not packed, or in a damaged shard'
#: Faults that stop a run for any value of ``on_bad_frame``.
STOPPING_FAULTS = (_OUTSIDE, _NOT_IN_SHARDS)
#: Split, tracklet and person id of the first tracklet that lists a frame. The id is None or negative if unknown.
Owner = tuple[str, int, int | None]


@dataclass(frozen=True)
class FrameScan:
    """Results of checking the frame files of a dataset."""

    headers: Mapping[str, FrameHeader]  # frame → header, in the order of the given frames
    duplicates: tuple[tuple[str, ...], ...]  # groups of two or more frames with the same bytes, in that order
    decoded: bool  # whether every frame was decoded
    seconds: float  # wall time of checking the files, without the search for duplicates

    @property
    def bad(self) -> dict[str, str]:
        """Bad frame → fault."""
        return {frame: h.fault for frame, h in self.headers.items() if h.fault is not None}


def scan_files(
    storage: FrameStorage, frames: Sequence[str], jobs: int, full_decode: bool = False, name: str = 'frames'
) -> FrameScan:
    """Check the file of each of the distinct frames, or read it from its shard, which verifies its checksum.

    Frames with equal size, first and last bytes are compared by SHA-256. ``full_decode`` also decodes each frame as in
    training, which finds damage in the compressed data. ``jobs`` threads do the work, shown as ``name``.
    """
    check = partial(_inspect, storage, full_decode)
    start = time.perf_counter()
    headers = dict(zip(frames, scan_frames(check, frames, jobs, f'check {name}'), strict=True))
    seconds = time.perf_counter() - start
    # empty and missing files are faults, not duplicates
    alike = _groups((frame, (header.num_bytes, header.digest)) for frame, header in headers.items() if header.num_bytes)
    suspects = [frame for group in alike for frame in group]
    hashes = scan_frames(partial(_hash, storage), suspects, jobs, f'compare {name}')
    return FrameScan(headers, _groups(zip(suspects, hashes, strict=True)), full_decode, seconds)


def _groups(pairs: Iterable[tuple[str, Hashable]]) -> tuple[tuple[str, ...], ...]:
    """Group frames with the same key; groups of one are left out."""
    groups = defaultdict(list)
    for frame, key in pairs:
        groups[key].append(frame)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _inspect(storage: FrameStorage, full_decode: bool, frame: str) -> FrameHeader:
    try:
        header = _header(storage, frame)
        if full_decode and header.fault is None and fault_of(storage, frame) is not None:
            return replace(header, fault='cannot be decoded')
    except DatasetError:
        return FrameHeader(_OUTSIDE if storage.frame_format is None else _NOT_IN_SHARDS)
    return header


def _header(storage: FrameStorage, frame: str) -> FrameHeader:
    if storage.frame_format is None:
        return read_header(path_inside(storage.root, frame))
    content = storage.read(frame)
    if storage.frame_format.encoding == 'raw':  # no structure to inspect: complete if the checksum is right
        size = storage.frame_format.size
        fault = None if len(content) == math.prod(size) * 3 else 'wrong number of pixels'
        return FrameHeader(fault, len(content), size, zlib.crc32(content))
    return inspect_content(content)


def _hash(storage: FrameStorage, frame: str) -> str:
    try:
        return hashlib.sha256(storage.read(frame)).hexdigest()
    except DatasetError:  # removed in the meantime: equal to no other frame
        return frame


def check_frames(scan: FrameScan, owners: Mapping[str, Owner], subject: str, stops: bool) -> list[Finding]:
    """Report bad and duplicate files in one finding each; ``stops`` tells if a run stops at the bad ones."""
    return [_bad_finding(scan, subject, stops), _duplicate_finding(scan, owners, subject)]


def _bad_finding(scan: FrameScan, subject: str, stops: bool) -> Finding:
    bad, total = scan.bad, len(scan.headers)
    how = f'{"decoded" if scan.decoded else "header and end checked"}, {total / scan.seconds:,.0f} frames/s'
    sizes = Counter(header.size for header in scan.headers.values() if header.size)
    kinds = Counter(bad.values())
    values = dict(
        frames=total,
        bad=len(bad),
        decoded=scan.decoded,
        seconds=scan.seconds,
        kinds=dict(kinds),
        sizes={f'{height}x{width}': count for (height, width), count in sizes.most_common(10)},
    )
    if not bad:
        common = ', mostly {}x{}'.format(*sizes.most_common(1)[0][0]) if sizes else ''
        message = f'all {total:,} frames are complete ({how}{common})'
        return Finding('frames', subject, Severity.OK, message, values=values)
    message = f'{len(bad):,} of {total:,} frames cannot be used ({how}): {_listed(kinds)}'
    remedy = 'unpack the archive again, or train with --cfg-options on_bad_frame=substitute (or skip_tracklet)'
    if _NOT_IN_SHARDS in kinds:
        remedy = 'run tools/dataset_converters/pack.py again to replace damaged shards (for other splits: a new folder)'
    severity = Severity.BROKEN if stops or _OUTSIDE in kinds else Severity.WARNING
    details = tuple(f'{frame}: {fault}' for frame, fault in bad.items())
    return Finding('frames', subject, severity, message, remedy, details, values)


def _listed(kinds: Counter[str]) -> str:
    return ', '.join(f'{count:,} {kind}' for kind, count in kinds.most_common())


def _duplicate_finding(scan: FrameScan, owners: Mapping[str, Owner], subject: str) -> Finding:
    kinds = Counter(_spread([owners[frame] for frame in group]) for group in scan.duplicates)
    copies = sum(len(group) - 1 for group in scan.duplicates)
    values = dict(groups=len(scan.duplicates), copies=copies, **kinds)
    problems = [f'{copies:,} frames repeat the bytes of another one', f'groups: {_listed(kinds)}'] if copies else []
    message = '' if copies else 'no two frames have the same bytes'
    remedy = 'correct the index: frames shared by people or splits are wrong labels or leaks'
    details = tuple(' = '.join(group) for group in scan.duplicates)
    return warn_if(problems, 'duplicates', subject, message, remedy, details, values)


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
