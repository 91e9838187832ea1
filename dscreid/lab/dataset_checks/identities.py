"""Find people and frames shared by several splits."""

from collections.abc import Mapping, Set
from itertools import combinations

from dscreid.lab.dataset_checks.findings import Finding, Severity


def check_overlap(people: Mapping[str, Set[int]], frames: Mapping[str, Set[str]], subject: str) -> Finding:
    """Check that splits share neither people nor frames.

    Args:
        people: Split → its person ids. Splits without ids are omitted. Negative ids are unknown persons and are not
            compared.
        frames: Split → its frames.
        subject: Subject of the finding.

    Returns:
        ``BROKEN`` if any two splits share a person or a frame.
    """
    details, counts = [], {}
    for one, other in combinations(frames, 2):
        shared_frames = sorted(frames[one] & frames[other])
        shared_people = sorted(pid for pid in people.get(one, set()) & people.get(other, set()) if pid >= 0)
        counts[f'{one}, {other}'] = dict(people=len(shared_people), frames=len(shared_frames))
        details += [f'person {pid} is in {one} and in {other}' for pid in shared_people]
        details += [f'{frame} is in {one} and in {other}' for frame in shared_frames]
    if not details:
        silent = [split for split in frames if split not in people]
        note = f' (no person ids in {", ".join(silent)})' if silent else ''
        message = f'{", ".join(frames)} share neither people nor frames{note}'
        return Finding('overlap', subject, Severity.OK, message, values=counts)
    kinds = ', '.join(
        f'{one}: {c["people"]:,} people and {c["frames"]:,} frames'
        for one, c in counts.items()
        if c['people'] or c['frames']
    )
    return Finding(
        'overlap',
        subject,
        Severity.BROKEN,
        f'splits that must be disjoint share {kinds}',
        'restore the index files from one archive: a model must not be trained on test people',
        tuple(details),
        counts,
    )
