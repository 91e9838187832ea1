"""Find incomplete images, and frames with the same bytes as another one."""

import hashlib
import math
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial

from dscreid.datasets.bad_frames import fault_of, scan_frames
from dscreid.datasets.frame_files import path_inside
from dscreid.datasets.frame_header import FrameHeader, inspect_content, read_header
from dscreid.datasets.storage import FrameStorage
from dscreid.errors import DatasetError
from dscreid.lab.dataset_checks.findings import Finding, Severity

_OUTSIDE = 'outside the root'
_NOT_IN_SHARDS = 'not packed, or in a damaged shard'
#: Faults that stop a run for any value of ``on_bad_frame``.
STOPPING_FAULTS = (_OUTSIDE, _NOT_IN_SHARDS)


@dataclass(frozen=True)
class FrameScan:
    """Results of checking the frame files of a dataset.

    Attributes:
        headers: Frame → header, in the order of the given frames.
        duplicates: Groups of two or more frames with the same bytes, in that order.
        decoded: Whether every frame was decoded.
        seconds: Wall time of checking the files, without the search for duplicates.
    """

    headers: Mapping[str, FrameHeader]
    duplicates: tuple[tuple[str, ...], ...]
    decoded: bool
    seconds: float

    @property
    def bad(self) -> dict[str, str]:
        """Bad frame → fault."""
        return {frame: h.fault for frame, h in self.headers.items() if h.fault is not None}


def scan_files(
    storage: FrameStorage, frames: Sequence[str], jobs: int, full_decode: bool = False, name: str = 'frames'
) -> FrameScan:
    """Check the file of every frame, or read it from its shard, which verifies its checksum.

    Args:
        storage: Storage of the frames.
        frames: Distinct paths relative to it.
        jobs: Number of threads.
        full_decode: Decode each frame as in training, which also finds damage in the compressed data.
        name: Text of the progress bars.

    Returns:
        Headers, and groups of frames with the same bytes. Frames with equal size, first and last bytes are compared
        by SHA-256.
    """
    check = partial(_inspect, storage, full_decode)
    start = time.perf_counter()
    headers = dict(zip(frames, scan_frames(check, frames, jobs, f'check {name}'), strict=True))
    seconds = time.perf_counter() - start
    return FrameScan(headers, _same_bytes(storage, headers, jobs, name), full_decode, seconds)


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


def _same_bytes(
    storage: FrameStorage, headers: Mapping[str, FrameHeader], jobs: int, name: str
) -> tuple[tuple[str, ...], ...]:
    alike = defaultdict(list)
    for frame, header in headers.items():
        if header.num_bytes:  # empty and missing files are faults, not duplicates
            alike[header.num_bytes, header.digest].append(frame)
    suspects = [frame for group in alike.values() if len(group) > 1 for frame in group]
    hashes = scan_frames(partial(_hash, storage), suspects, jobs, f'compare {name}')
    same = defaultdict(list)
    for frame, digest in zip(suspects, hashes, strict=True):
        same[digest].append(frame)
    return tuple(tuple(group) for group in same.values() if len(group) > 1)


def _hash(storage: FrameStorage, frame: str) -> str:
    try:
        return hashlib.sha256(storage.read(frame)).hexdigest()
    except DatasetError:  # removed in the meantime: equal to no other frame
        return frame


def check_frames(
    scan: FrameScan, owners: Mapping[str, tuple[str, int, int | None]], subject: str, stops: bool
) -> list[Finding]:
    """Report bad and duplicate files of a dataset.

    Args:
        scan: Its files.
        owners: Frame → (split, tracklet, person id) of the first tracklet that lists it. The id is None or negative
            if unknown.
        subject: Subject of the findings.
        stops: Whether a run stops at a bad frame (``on_bad_frame='error'``).

    Returns:
        One finding about bad frames and one about duplicates.
    """
    return [_bad_finding(scan, subject, stops), _duplicate_finding(scan, owners, subject)]


def _bad_finding(scan: FrameScan, subject: str, stops: bool) -> Finding:
    bad = scan.bad
    rate = len(scan.headers) / scan.seconds
    how = f'{"decoded" if scan.decoded else "header and end checked"}, {rate:,.0f} frames/s'
    sizes = Counter(header.size for header in scan.headers.values() if header.size)
    values = dict(
        frames=len(scan.headers),
        bad=len(bad),
        decoded=scan.decoded,
        seconds=scan.seconds,
        kinds=dict(Counter(bad.values())),
        sizes={f'{height}x{width}': count for (height, width), count in sizes.most_common(10)},
    )
    if not bad:
        common = ', mostly {}x{}'.format(*sizes.most_common(1)[0][0]) if sizes else ''
        message = f'all {len(scan.headers):,} frames are complete ({how}{common})'
        return Finding('frames', subject, Severity.OK, message, values=values)
    kinds = ', '.join(f'{count:,} {kind}' for kind, count in Counter(bad.values()).most_common())
    severe = stops or _OUTSIDE in bad.values()
    return Finding(
        'frames',
        subject,
        Severity.BROKEN if severe else Severity.WARNING,
        f'{len(bad):,} of {len(scan.headers):,} frames cannot be used ({how}): {kinds}',
        _remedy(set(bad.values())),
        tuple(f'{frame}: {fault}' for frame, fault in bad.items()),
        values,
    )


def _remedy(faults: Set[str]) -> str:
    if _NOT_IN_SHARDS in faults:
        return 'run tools/dataset_converters/pack.py again to replace damaged shards (for other splits: a new folder)'
    return 'unpack the archive again, or train with --cfg-options on_bad_frame=substitute (or skip_tracklet)'


def _duplicate_finding(
    scan: FrameScan, owners: Mapping[str, tuple[str, int, int | None]], subject: str
) -> Finding:
    spread = Counter(_spread([owners[frame] for frame in group]) for group in scan.duplicates)
    copies = sum(len(group) - 1 for group in scan.duplicates)
    values = dict(groups=len(scan.duplicates), copies=copies, **spread)
    if not scan.duplicates:
        return Finding('duplicates', subject, Severity.OK, 'no two frames have the same bytes', values=values)
    kinds = ', '.join(f'{count:,} {kind}' for kind, count in spread.most_common())
    return Finding(
        'duplicates',
        subject,
        Severity.WARNING,
        f'{copies:,} frames repeat the bytes of another one; groups: {kinds}',
        'correct the index: frames shared by people or splits are wrong labels or leaks',
        tuple(' = '.join(group) for group in scan.duplicates),
        values,
    )


def _spread(owners: Sequence[tuple[str, int, int | None]]) -> str:
    """Classify a group of duplicates by what they span. Unknown persons are not compared."""
    splits = {split for split, _, _ in owners}
    tracklets = {tracklet for _, tracklet, _ in owners}
    people = {pid for _, _, pid in owners}
    known = {pid for pid in people if pid is not None and pid >= 0}
    if len(splits) > 1:
        return 'across splits'
    if len(known) > 1:
        return 'across people'
    if len(tracklets) == 1:
        return 'within a tracklet'
    return 'across tracklets of one person' if known and known == people else 'across tracklets'
