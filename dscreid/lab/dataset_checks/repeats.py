"""Find tracklets and frames that an index lists more than once."""

from collections.abc import Sequence

from dscreid.datasets.repeats import first_rows
from dscreid.lab.dataset_checks.findings import Finding, Severity
from dscreid.structures import Tracklet


def check_repeats(tracklets: Sequence[Tracklet], repeats: Sequence[str], subject: str) -> Finding:
    """Check whether a split lists tracklets or frames more than once.

    Args:
        tracklets: Its records, without those described in ``repeats``.
        repeats: Descriptions of index lines that repeat an earlier line and are ignored.
        subject: Subject of the finding.

    Returns:
        A warning if lines are repeated, if a tracklet has several roles or places in the index, for example as a
        query and in the gallery, or if two different tracklets share frames.
    """
    firsts = first_rows(tracklets)
    twins = [row for row, first in enumerate(firsts.tolist()) if row != first]
    shared = _shared_frames(tracklets, set(twins))
    values = dict(repeated_lines=len(repeats), tracklets_listed_twice=len(twins), shared_frames=shared)
    problems = []
    if repeats:
        problems.append(f'{len(repeats):,} index lines repeat an earlier line and are left out')
    if twins:
        problems.append(
            f'{len(twins):,} tracklets are listed twice, for example as a query and in the gallery; a query never '
            'counts as its own match'
        )
    if shared:
        problems.append(f'{shared:,} frames belong to two different tracklets')
    if not problems:
        message = 'no tracklet and no frame is listed twice'
        return Finding('repeated tracklets', subject, Severity.OK, message, values=values)
    remedy = 'remove the repeated lines from the index, or restore it from the dataset archive'
    return Finding(
        'repeated tracklets', subject, Severity.WARNING, '; '.join(problems), remedy, tuple(repeats), values
    )


def _shared_frames(tracklets: Sequence[Tracklet], twins: set[int]) -> int:
    """Count the frames that belong to more than one tracklet."""
    seen: set[str] = set()
    shared: set[str] = set()
    for row, tracklet in enumerate(tracklets):
        if row in twins:
            continue
        frames = set(tracklet.frames)
        shared |= frames & seen
        seen |= frames
    return len(shared)
