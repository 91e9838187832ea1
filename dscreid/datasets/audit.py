"""Index summaries for the log: counts, a fingerprint, differences from the published counts."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dscreid.structures import Modality, Tracklet


@dataclass(frozen=True)
class ModalityStatistics:
    """Counts of one modality of a split, or of both together.

    Attributes:
        identities: Number of distinct person ids; None if no tracklet has one.
        tracklets: Number of tracklets.
        queries: Number of tracklets that are queries.
        frames: Number of frames.
        cameras: Number of distinct cameras.
        shortest: Frames of the shortest tracklet (0 without tracklets).
        longest: Frames of the longest tracklet (0 without tracklets).
    """

    identities: int | None
    tracklets: int
    queries: int
    frames: int
    cameras: int
    shortest: int
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
    rows = [('', 'identities', 'tracklets', 'queries', 'frames', 'cameras', 'frames/tracklet')]
    for name, s in statistics.items():
        identities = '-' if s.identities is None else f'{s.identities:,}'
        tracklets, queries, frames, cameras = (f'{n:,}' for n in (s.tracklets, s.queries, s.frames, s.cameras))
        length = f'{s.shortest:,}-{s.longest:,}'
        rows.append((name, identities, tracklets, queries, frames, cameras, length))
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
    """Describe how a dataset differs from published counts, for example ``'frames: 367 found, 500 published'``.

    Args:
        counts: Actual counts; missing keys are not compared.
        published: Expected numbers, or inclusive ranges if only a rounded number was published.
    """
    differences = []
    for name, expected in published.items():
        if name not in counts:
            continue
        low, high = expected if isinstance(expected, tuple) else (expected, expected)
        if not low <= counts[name] <= high:
            wanted = f'{low:,}' if low == high else f'{low:,} to {high:,}'
            differences.append(f'{name}: {counts[name]:,} found, {wanted} published')
    return differences
