"""Check the balance of cameras and modalities."""

from collections import Counter
from collections.abc import Sequence

from dscreid.lab.dataset_checks.findings import Finding, Severity
from dscreid.structures import Modality, Tracklet

#: A split is unbalanced if its modalities differ by this ratio or more.
_LOPSIDED = 3.0


def check_balance(tracklets: Sequence[Tracklet], subject: str) -> Finding:
    """Check the balance of a split's cameras and modalities.

    Args:
        tracklets: Its records, with or without person ids. Negative ids are unknown persons.
        subject: Subject of the finding.

    Returns:
        ``BROKEN`` if a modality is missing. A warning if a modality has only one tracklet, or at most a third of the
        other's, or if cameras or people (if ids are known) have only one modality.
    """
    table = Counter((t.camera, t.modality) for t in tracklets)
    totals = Counter(t.modality for t in tracklets)
    one_sided = sorted(
        camera for camera in {t.camera for t in tracklets} if not all(table[camera, m] for m in Modality)
    )
    people = {(t.pid, t.modality) for t in tracklets if t.pid is not None and t.pid >= 0}
    lonely = sum(count == 1 for count in Counter(pid for pid, _ in people).values())
    rgb, ir = totals[Modality.RGB], totals[Modality.IR]
    cameras = {
        str(camera): {m.value: table[camera, m] for m in Modality}
        for camera in sorted({t.camera for t in tracklets})
    }
    values = dict(rgb=rgb, ir=ir, cameras=cameras, people_in_one_modality=lonely if people else None)
    message = f'{rgb:,} visible and {ir:,} infrared tracklets, {len(cameras)} cameras'
    if not all(totals[m] for m in Modality):
        remedy = 'restore the index files; adaptation and evaluation need tracklets of both modalities'
        return Finding('balance', subject, Severity.BROKEN, message, remedy, values=values)
    problems = []
    if one_sided:
        problems.append(f'cameras {", ".join(map(str, one_sided))} have only one modality')
    if lonely:
        problems.append(f'{lonely:,} people appear in only one modality')
    names = {Modality.RGB: 'visible', Modality.IR: 'infrared'}
    problems += [f'only one {names[m]} tracklet, which forms no cluster' for m in Modality if totals[m] == 1]
    if max(totals.values()) >= _LOPSIDED * min(totals.values()):
        problems.append('one modality has at least three times the tracklets of the other')
    if not problems:
        return Finding('balance', subject, Severity.OK, message, values=values)
    remedy = 'compare with the published counts; no setting changes it'
    return Finding(
        'balance', subject, Severity.WARNING, '; '.join((message, *problems)), remedy, values=values
    )
