"""Check the splits of an index: balance, tracklets that rules drop, repeats, and overlap with other splits."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from itertools import combinations

from dscreid.datasets.records import first_rows
from dscreid.lab.dataset_checks import Finding, Severity, counted, warn_if
from dscreid.structures import Modality, Tracklet

#: A split is unbalanced if its modalities differ by this ratio or more.
_LOPSIDED = 3.0
#: Warn if at least this fraction of a split is dropped.
_NOTABLE = 0.05
_NAMES = {Modality.RGB: 'visible', Modality.IR: 'infrared'}


def check_balance(tracklets: Sequence[Tracklet], subject: str) -> Finding:
    """Check the balance of a split's cameras and modalities. Negative person ids are unknown persons.

    Broken if a modality is missing. A warning if a modality has only one tracklet, or at most a third of the other's,
    if some cameras, but not all, have only one modality, or if people (if ids are known) have only one.
    """
    cameras = Counter(camera for camera, _ in {(t.camera, t.modality) for t in tracklets})
    people = Counter(pid for pid, _ in {(t.pid, t.modality) for t in tracklets if t.pid is not None and t.pid >= 0})
    rgb, ir = totals = [sum(t.modality is m for t in tracklets) for m in Modality]
    message = f'{rgb:,} visible and {ir:,} infrared tracklets, {len(cameras)} cameras'
    if not (rgb and ir):
        remedy = 'restore the index files; adaptation and evaluation need tracklets of both modalities'
        return Finding('balance', subject, Severity.BROKEN, message, remedy)
    one_sided = [str(camera) for camera, modalities in sorted(cameras.items()) if modalities == 1]
    # where every camera has one sensor, nothing is missing
    missing = 0 < len(one_sided) < len(cameras)
    problems = [f'cameras {", ".join(one_sided)} have only one modality'] if missing else []
    problems += counted({'people appear in only one modality': list(people.values()).count(1)})
    problems += [
        f'only one {_NAMES[m]} tracklet, which forms no cluster'
        for m, n in zip(Modality, totals, strict=True)
        if n == 1
    ]
    if max(rgb, ir) >= _LOPSIDED * min(rgb, ir):
        problems.append('one modality has at least three times the tracklets of the other')
    remedy = 'compare with the published counts; no setting changes the balance'
    return warn_if(problems, 'balance', subject, message, remedy)


def check_drops(
    tracklets: Sequence[Tracklet],
    bad: Set[str],
    subject: str,
    min_seq_len: int = 1,
    modality: Modality | None = None,
    on_bad_frame: str = 'error',
) -> Finding:
    """Count the tracklets of an index that each rule of a config drops. ``bad`` are the bad frames.

    Broken if nothing is left of a modality that the config uses. A warning if rules other than ``modality`` drop five
    percent of the split or more, or if ``on_bad_frame`` meets a tracklet without any readable frame.
    """
    long_enough = [t for t in tracklets if len(t) >= min_seq_len]
    short = len(tracklets) - len(long_enough)
    damaged = [t for t in long_enough if not bad.isdisjoint(t.frames)]
    lost = sum(set(t.frames) <= bad for t in damaged)
    skips = on_bad_frame == 'skip_tracklet'
    skipped = len(damaged) if skips else 0
    parts = counted(
        {
            f'by min_seq_len={min_seq_len}': short,
            'by on_bad_frame=skip_tracklet': skipped,
            'by modality': sum(modality is not None and t.modality is not modality for t in long_enough),
        }
    )
    message = f'of {len(tracklets):,} tracklets: {", ".join(parts) or "none left out"}'
    if lost and on_bad_frame == 'substitute':
        message += f'; {lost:,} have no readable frame, so a run with on_bad_frame=substitute stops there'
    kept = {t.modality for t in long_enough if not skips or bad.isdisjoint(t.frames)}
    used = {t.modality for t in tracklets if modality in (None, t.modality)}
    severity = Severity.OK
    if short + skipped >= max(_NOTABLE * len(tracklets), 1) or (lost and not skips):
        severity = Severity.WARNING
    if emptied := [_NAMES[m] for m in Modality if m in used - kept]:
        message += f'; no {" and no ".join(emptied)} tracklet is left'
        severity = Severity.BROKEN
    remedy = 'check that the archive is complete; min_seq_len and on_bad_frame are options of the dataset'
    return Finding('left out', subject, severity, message, remedy if severity else '')


def check_overlap(splits: Mapping[str, Sequence[Tracklet]], subject: str, people: bool = True) -> Finding:
    """Check that splits (name → tracklets) share neither people nor frames; broken if any two do.

    Unknown people (ids that are negative or None) are not compared. If ``people`` is false, only frames are compared.
    """
    frames = {split: {frame for t in tracklets for frame in t.frames} for split, tracklets in splits.items()}
    ids = {split: {t.pid for t in tracklets if people and t.pid is not None} for split, tracklets in splits.items()}
    details, kinds = [], []
    for one, other in combinations(splits, 2):
        shared_frames = sorted(frames[one] & frames[other])
        shared_people = sorted(pid for pid in ids[one] & ids[other] if pid >= 0)
        shared = [*(f'person {pid}' for pid in shared_people), *shared_frames]
        details += [f'{item} is in {one} and in {other}' for item in shared]
        if shared:
            kinds.append(f'{one}, {other}: {len(shared_people):,} people and {len(shared_frames):,} frames')
    if not details and not people:
        return Finding('overlap', subject, Severity.OK, f'{", ".join(splits)} share no frames (people: not compared)')
    if not details:
        silent = ', '.join(split for split, pids in ids.items() if not pids)
        note = f' (no person ids in {silent})' if silent else ''
        message = f'{", ".join(splits)} share neither people nor frames{note}'
        return Finding('overlap', subject, Severity.OK, message)
    message = f'splits that must be disjoint share {", ".join(kinds)}'
    remedy = 'restore the index files from one archive: a model must not be trained on test people'
    return Finding('overlap', subject, Severity.BROKEN, message, remedy, tuple(details))


def check_repeats(tracklets: Sequence[Tracklet], repeats: Sequence[str], subject: str) -> Finding:
    """Warn if a split lists tracklets or frames more than once, for example as a query and in the gallery.

    ``repeats`` describes index lines that repeat an earlier line. They are ignored, and not among ``tracklets``.
    """
    distinct = [tracklets[row] for row, first in enumerate(first_rows(tracklets).tolist()) if row == first]
    owners = Counter(frame for t in distinct for frame in set(t.frames))
    twins, shared = len(tracklets) - len(distinct), sum(count > 1 for count in owners.values())
    problems = {
        'index lines repeat an earlier line and are left out': len(repeats),
        'tracklets are listed twice, for example as a query and in the gallery; a query never counts as its own '
        'match': twins,
        'frames belong to two different tracklets': shared,
    }
    message = '' if any(problems.values()) else 'no tracklet and no frame is listed twice'
    remedy = 'remove the repeated lines from the index, or restore it from the dataset archive'
    return warn_if(counted(problems), 'repeated tracklets', subject, message, remedy, tuple(repeats))
