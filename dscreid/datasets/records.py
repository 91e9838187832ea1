"""Functions of a split's records: counts, fingerprint, repeats, anonymous order, ground truth."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dscreid.structures import Modality, Tracklet


def anonymous_rank(tracklet: Tracklet) -> tuple[bool, bytes, int]:
    """Sort key for an unlabeled split that reveals neither persons nor pairs: infrared, hash of frame paths, camera."""
    content = '\n'.join((tracklet.modality.value, *tracklet.frames)).encode('utf-8', 'surrogatepass')
    digest = hashlib.blake2b(content, digest_size=16, key=b'dscreid').digest()
    return tracklet.modality is Modality.IR, digest, tracklet.camera


class ModalityStatistics(NamedTuple):
    """Counts of one modality of a split, or of both together; ``identities`` is None if no tracklet has a person id."""

    identities: int | None
    tracklets: int
    queries: int
    frames: int
    cameras: int
    shortest: int  # frames of the shortest tracklet, 0 without tracklets
    longest: int


def split_statistics(tracklets: Sequence[Tracklet]) -> dict[str, ModalityStatistics]:
    """Count a split's ``'rgb'``, ``'ir'`` and ``'all'`` tracklets; those without a person id are not identities."""
    groups = {m.value: [t for t in tracklets if t.modality is m] for m in Modality}
    return {name: _count(group) for name, group in (*groups.items(), ('all', tracklets))}


def _count(tracklets: Sequence[Tracklet]) -> ModalityStatistics:
    pids = {t.pid for t in tracklets if t.pid is not None}
    lengths = [len(t) for t in tracklets]
    return ModalityStatistics(
        identities=len(pids) if pids or not tracklets else None,
        tracklets=len(tracklets),
        queries=sum(t.is_query for t in tracklets),
        frames=sum(lengths),
        cameras=len({t.camera for t in tracklets}),
        shortest=min(lengths, default=0),
        longest=max(lengths, default=0),
    )


def statistics_table(statistics: Mapping[str, ModalityStatistics]) -> str:
    """Format the result of ``split_statistics`` as a text table with a header line."""
    rows = [['', 'identities', 'tracklets', 'queries', 'frames', 'cameras', 'frames/tracklet']]
    for name, s in statistics.items():
        counts = ('-' if count is None else f'{count:,}' for count in s[:5])
        rows.append([name, *counts, f'{s.shortest:,}-{s.longest:,}'])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join('  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def index_fingerprint(tracklets: Iterable[Tracklet]) -> str:
    """First 16 hex digits of the SHA-256 of all frames, modalities, cameras, query flags and, if present, pids."""
    digest = hashlib.sha256()
    for t in tracklets:
        pid = '' if t.pid is None else t.pid
        record = '\n'.join((f'{t.modality.value} {t.camera} {int(t.is_query)} {pid}', *t.frames, '\n'))
        digest.update(record.encode('utf-8', 'surrogatepass'))
    return digest.hexdigest()[:16]


def differences_from_published(counts: Mapping[str, int], published: Mapping[str, int | tuple[int, int]]) -> list[str]:
    """Describe how counts differ from published numbers or inclusive ranges; missing keys are not compared."""
    differences = []
    for name, expected in published.items():
        low, high = expected if isinstance(expected, tuple) else (expected, expected)
        if name in counts and not low <= counts[name] <= high:
            wanted = f'{low:,}' if low == high else f'{low:,} to {high:,}'
            differences.append(f'{name}: {counts[name]:,} found, {wanted} published')
    return differences


def first_rows(tracklets: Sequence[Tracklet]) -> np.ndarray:
    """Find the row of the first record with the same frames for each of N records, int64 (N,)."""
    firsts: dict[tuple[str, ...], int] = {}
    return np.array([firsts.setdefault(t.frames, row) for row, t in enumerate(tracklets)], dtype=np.int64)


def repeated_rows(tracklets: Sequence[Tracklet]) -> dict[int, int]:
    """Map each record that repeats an earlier one to it: same frames, modality and camera, in the same list.

    A query that is also in the gallery is not a repeat, because it has two roles. Person ids are not compared, so that
    labeled and unlabeled splits keep the same records.
    """
    firsts: dict[tuple, int] = {}
    keys = ((t.frames, t.modality, t.camera, t.is_query) for t in tracklets)
    return {row: first for row, key in enumerate(keys) if (first := firsts.setdefault(key, row)) != row}


def describe_repeats(repeats: Mapping[int, int], wheres: Sequence[str], pids: np.ndarray) -> tuple[str, ...]:
    """Describe the result of ``repeated_rows``, for example ``'query.txt:7 repeats query.txt:2'``.

    ``wheres`` is ``file:line`` of each record, ``pids`` its person id, negative if unknown.
    """
    return tuple(
        f'{Path(wheres[row]).name} repeats {Path(wheres[first]).name}'
        + ('' if pids[row] == pids[first] else ' with another person id')
        for row, first in repeats.items()
    )
