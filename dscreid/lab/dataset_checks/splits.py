"""Check the splits of an index: balance, tracklets that rules drop, repeats, and overlap with other splits."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from itertools import combinations

from dscreid.datasets.records import first_rows
from dscreid.lab.dataset_checks.findings import Finding, Severity
from dscreid.lab.dataset_checks.foreign import ForeignTracklet
from dscreid.structures import Modality, Tracklet

#: A split is unbalanced if its modalities differ by this ratio or more.
_LOPSIDED = 3.0
#: Warn if at least this fraction of a split is dropped.
_NOTABLE = 0.05
_NAMES = {Modality.RGB: 'visible', Modality.IR: 'infrared'}


def check_balance(tracklets: Sequence[Tracklet], subject: str) -> Finding:
    """Check the balance of a split's cameras and modalities. Negative person ids are unknown persons.

    Returns:
        ``BROKEN`` if a modality is missing. A warning if a modality has only one tracklet, or at most a third of the
        other's, or if cameras or people (if ids are known) have only one modality.
    """
    table = Counter((t.camera, t.modality) for t in tracklets)
    cameras = {
        str(camera): {m.value: table[camera, m] for m in Modality} for camera in sorted({t.camera for t in tracklets})
    }
    totals = {m: sum(t.modality is m for t in tracklets) for m in Modality}
    people = {(t.pid, t.modality) for t in tracklets if t.pid is not None and t.pid >= 0}
    lonely = sum(count == 1 for count in Counter(pid for pid, _ in people).values())
    rgb, ir = totals.values()
    values = dict(rgb=rgb, ir=ir, cameras=cameras, people_in_one_modality=lonely if people else None)
    message = f'{rgb:,} visible and {ir:,} infrared tracklets, {len(cameras)} cameras'
    if not (rgb and ir):
        remedy = 'restore the index files; adaptation and evaluation need tracklets of both modalities'
        return Finding('balance', subject, Severity.BROKEN, message, remedy, values=values)
    problems = []
    one_sided = [camera for camera, counts in cameras.items() if not all(counts.values())]
    if one_sided:
        problems.append(f'cameras {", ".join(one_sided)} have only one modality')
    if lonely:
        problems.append(f'{lonely:,} people appear in only one modality')
    problems += [f'only one {_NAMES[m]} tracklet, which forms no cluster' for m in Modality if totals[m] == 1]
    if max(rgb, ir) >= _LOPSIDED * min(rgb, ir):
        problems.append('one modality has at least three times the tracklets of the other')
    severity = Severity.WARNING if problems else Severity.OK
    remedy = 'compare with the published counts; no setting changes it' if problems else ''
    return Finding('balance', subject, severity, '; '.join((message, *problems)), remedy, values=values)


def check_drops(
    tracklets: Sequence[Tracklet],
    bad: Set[str],
    foreign: Sequence[ForeignTracklet],
    subject: str,
    min_seq_len: int = 1,
    modality: Modality | None = None,
    on_bad_frame: str = 'error',
    drops_foreign: bool = False,
) -> Finding:
    """Count the tracklets that each rule of a config drops.

    Args:
        tracklets: All records of the split, as listed in the index.
        bad: Bad frames.
        foreign: Tracklets with foreign frames.
        subject: Subject of the finding.
        min_seq_len: Setting of the config, like ``modality`` and ``on_bad_frame``.
        modality: See ``min_seq_len``.
        on_bad_frame: See ``min_seq_len``.
        drops_foreign: Whether the config drops foreign frames (frames, not tracklets).

    Returns:
        ``BROKEN`` if nothing is left of a modality that the config uses. A warning if rules other than ``modality``
        drop five percent of the split or more, or if ``on_bad_frame`` meets a tracklet without any readable frame.
    """
    long_enough = [t for t in tracklets if len(t) >= min_seq_len]
    short = len(tracklets) - len(long_enough)
    damaged = [t for t in long_enough if not bad.isdisjoint(t.frames)]
    lost = sum(set(t.frames) <= bad for t in damaged)
    skips = on_bad_frame == 'skip_tracklet'
    skipped = len(damaged) if skips else 0
    counts = {
        f'min_seq_len={min_seq_len}': short,
        'on_bad_frame=skip_tracklet': skipped,
        'modality': sum(modality is not None and t.modality is not modality for t in long_enough),
    }
    foreign_frames = sum(f.count for f in foreign) if drops_foreign else 0
    values = dict(
        tracklets=len(tracklets),
        dropped=counts,
        with_bad_frames=len(damaged),
        without_readable_frames=lost,
        foreign_frames_dropped=foreign_frames,
    )
    parts = [f'{count:,} by {rule}' for rule, count in counts.items() if count]
    parts += [f'{foreign_frames:,} foreign frames'] if foreign_frames else []
    message = f'of {len(tracklets):,} tracklets: ' + (', '.join(parts) if parts else 'none left out')
    if lost and on_bad_frame == 'substitute':
        message += f'; {lost:,} have no readable frame, so on_bad_frame=substitute stops there'
    kept = {t.modality for t in long_enough if not skips or bad.isdisjoint(t.frames)}
    used = {t.modality for t in tracklets if modality in (None, t.modality)}
    emptied = [_NAMES[m] for m in Modality if m in used - kept]
    severity = Severity.OK
    if short + skipped >= max(_NOTABLE * len(tracklets), 1) or (lost and not skips):
        severity = Severity.WARNING
    if emptied:
        message += f'; no {" and no ".join(emptied)} tracklet is left'
        severity = Severity.BROKEN
    remedy = 'check that the archive is complete; min_seq_len and on_bad_frame are options of the dataset'
    return Finding('left out', subject, severity, message, remedy if severity else '', values=values)


def check_overlap(people: Mapping[str, Set[int]], frames: Mapping[str, Set[str]], subject: str) -> Finding:
    """Check that splits share neither people nor frames.

    Args:
        people: Split → its person ids. Splits without ids are omitted. Negative ids (unknown) are not compared.
        frames: Split → its frames.
        subject: Subject of the finding.

    Returns:
        ``BROKEN`` if any two splits share a person or a frame.
    """
    details, counts, kinds = [], {}, []
    for one, other in combinations(frames, 2):
        shared_frames = sorted(frames[one] & frames[other])
        shared_people = sorted(pid for pid in people.get(one, set()) & people.get(other, set()) if pid >= 0)
        counts[f'{one}, {other}'] = dict(people=len(shared_people), frames=len(shared_frames))
        shared = [f'person {pid}' for pid in shared_people] + shared_frames
        details += [f'{item} is in {one} and in {other}' for item in shared]
        if shared:
            kinds.append(f'{one}, {other}: {len(shared_people):,} people and {len(shared_frames):,} frames')
    if not details:
        silent = ', '.join(split for split in frames if split not in people)
        note = f' (no person ids in {silent})' if silent else ''
        message = f'{", ".join(frames)} share neither people nor frames{note}'
        return Finding('overlap', subject, Severity.OK, message, values=counts)
    message = f'splits that must be disjoint share {", ".join(kinds)}'
    remedy = 'restore the index files from one archive: a model must not be trained on test people'
    return Finding('overlap', subject, Severity.BROKEN, message, remedy, tuple(details), counts)


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
    distinct = [tracklets[row] for row, first in enumerate(first_rows(tracklets).tolist()) if row == first]
    owners = Counter(frame for t in distinct for frame in set(t.frames))
    twins, shared = len(tracklets) - len(distinct), sum(count > 1 for count in owners.values())
    values = dict(repeated_lines=len(repeats), tracklets_listed_twice=twins, shared_frames=shared)
    problems = []
    if repeats:
        problems.append(f'{len(repeats):,} index lines repeat an earlier line and are left out')
    if twins:
        problems.append(
            f'{twins:,} tracklets are listed twice, for example as a query and in the gallery; a query never '
            'counts as its own match'
        )
    if shared:
        problems.append(f'{shared:,} frames belong to two different tracklets')
    check = 'repeated tracklets'
    if not problems:
        message = 'no tracklet and no frame is listed twice'
        return Finding(check, subject, Severity.OK, message, values=values)
    remedy = 'remove the repeated lines from the index, or restore it from the dataset archive'
    return Finding(check, subject, Severity.WARNING, '; '.join(problems), remedy, tuple(repeats), values)
