"""Count the tracklets that each rule of a config drops."""

from collections.abc import Sequence, Set

from dscreid.lab.dataset_checks.findings import Finding, Severity
from dscreid.lab.dataset_checks.foreign import ForeignTracklet
from dscreid.structures import Modality, Tracklet

#: Warn if at least this fraction of a split is dropped.
_NOTABLE = 0.05


def check_drops(
    tracklets: list[Tracklet],
    bad: Set[str],
    foreign: list[ForeignTracklet],
    subject: str,
    min_seq_len: int = 1,
    modality: Modality | None = None,
    on_bad_frame: str = 'error',
    drops_foreign: bool = False,
) -> Finding:
    """Count the tracklets that each rule drops.

    Args:
        tracklets: All records of the split, as listed in the index.
        bad: Bad frames.
        foreign: Tracklets with foreign frames.
        subject: Subject of the finding.
        min_seq_len: Setting of the config.
        modality: Setting of the config.
        on_bad_frame: Setting of the config.
        drops_foreign: Whether the config drops foreign frames (frames, not tracklets).

    Returns:
        ``BROKEN`` if nothing is left of a modality that the config uses. A warning if rules other than ``modality``
        drop five percent of the split or more, or if ``on_bad_frame`` meets a tracklet without any readable frame.
    """
    short = [t for t in tracklets if len(t) < min_seq_len]
    long_enough = [t for t in tracklets if len(t) >= min_seq_len]
    damaged = [t for t in long_enough if any(frame in bad for frame in t.frames)]
    lost = [t for t in damaged if all(frame in bad for frame in t.frames)]
    skips = on_bad_frame == 'skip_tracklet'
    counts = {
        f'min_seq_len={min_seq_len}': len(short),
        'on_bad_frame=skip_tracklet': len(damaged) if skips else 0,
        'modality': sum(modality is not None and t.modality is not modality for t in long_enough),
    }
    values = dict(
        tracklets=len(tracklets),
        dropped=counts,
        with_bad_frames=len(damaged),
        without_readable_frames=len(lost),
        foreign_frames_dropped=sum(f.count for f in foreign) if drops_foreign else 0,
    )
    parts = [f'{count:,} by {rule}' for rule, count in counts.items() if count]
    parts += [f'{values["foreign_frames_dropped"]:,} foreign frames'] if drops_foreign and foreign else []
    message = f'of {len(tracklets):,} tracklets: ' + (', '.join(parts) if parts else 'none left out')
    notable = len(short) + (len(damaged) if skips else 0) >= max(_NOTABLE * len(tracklets), 1)
    if lost and on_bad_frame == 'substitute':
        message += f'; {len(lost):,} have no readable frame, so on_bad_frame=substitute stops there'
    hurt = {id(t) for t in damaged}
    emptied = _emptied(tracklets, [t for t in long_enough if not skips or id(t) not in hurt], modality)
    if emptied:
        message += f'; no {" and no ".join(emptied)} tracklet is left'
    severity = Severity.WARNING if notable or (lost and not skips) else Severity.OK
    severity = Severity.BROKEN if emptied else severity
    remedy = 'check that the archive is complete; min_seq_len and on_bad_frame are options of the dataset'
    return Finding('left out', subject, severity, message, remedy if severity else '', values=values)


def _emptied(tracklets: Sequence[Tracklet], kept: Sequence[Tracklet], modality: Modality | None) -> list[str]:
    """Return the modalities that the config uses but that the rules leave empty."""
    names = {Modality.RGB: 'visible', Modality.IR: 'infrared'}
    before, after = ({t.modality for t in some} for some in (tracklets, kept))
    return [names[m] for m in Modality if m in before - after and modality in (None, m)]
