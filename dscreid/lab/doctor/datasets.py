"""All checks of one dataset folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscreid.datasets import HITSZVCM, BUPTCampus, TrackletDataset
from dscreid.datasets.bupt_index import frames_with_lines
from dscreid.errors import DatasetError, DscreidError
from dscreid.lab.dataset_checks import (
    STOPPING_FAULTS,
    Finding,
    ForeignTracklet,
    Severity,
    check_balance,
    check_drops,
    check_foreign,
    check_frames,
    check_overlap,
    check_repeats,
    foreign_by_path,
    foreign_in_hitsz,
    scan_files,
)
from dscreid.lab.doctor.stages import DatasetUse
from dscreid.registry import DATASETS
from dscreid.structures import Modality


@dataclass(frozen=True)
class SplitRecords:
    """A split as listed in its index, before any rule drops tracklets.

    Attributes:
        name: Name of the split.
        dataset: Its records.
        used: Whether a loader of the config reads it.
    """

    name: str
    dataset: TrackletDataset
    used: bool


def examine_dataset(
    use: DatasetUse, jobs: int, full_decode: bool, check_files: bool = True
) -> Iterator[Finding]:
    """Check one dataset folder.

    Args:
        use: The folder and how it is read.
        jobs: Number of threads for reading files.
        full_decode: Whether to decode every frame.
        check_files: Whether to check the frames. False reads only the index.

    Yields:
        Findings, each as soon as it is known.
    """
    found: Any = DATASETS.get(use.type_name)
    if not (isinstance(found, type) and issubclass(found, TrackletDataset)):
        message = f'{use.type_name} is not a TrackletDataset; its files were not checked'
        yield Finding('index', use.root, Severity.INFO, message)
        return
    kind: type[TrackletDataset] = found
    subject = f'{kind.NAME} in {use.root}'
    if not Path(use.root).expanduser().is_dir():
        yield Finding('index', subject, Severity.BROKEN, 'the folder does not exist', _root_remedy(kind, use))
        return
    splits, findings = _read_splits(kind, use)
    yield from findings
    if not splits:
        return
    yield _published(splits[0].dataset, use, subject)
    bad: Mapping[str, str] = {}
    if check_files:
        frames, owners = _frames(splits, use)
        scan = scan_files(splits[0].dataset.storage, frames, jobs, full_decode, kind.NAME)
        bad = scan.bad
        yield from check_frames(scan, owners, subject, _stops(bad, owners, use))
    for split in splits:
        yield from _examine_split(split, use, bad, kind.NAME)
    yield _overlap(splits, subject)


def _root_remedy(kind: type[TrackletDataset], use: DatasetUse) -> str:
    variable = f'set the environment variable {use.variable} to it, or ' if use.variable else ''
    return f'unpack the dataset, and {variable}use --cfg-options data_root=FOLDER' + (
        f'; expected there: {kind.LAYOUT}' if kind.LAYOUT else ''
    )


def _read_splits(kind: type[TrackletDataset], use: DatasetUse) -> tuple[list[SplitRecords], list[Finding]]:
    splits, findings = [], []
    for name in kind.disjoint_splits():
        used = bool(use.of_split(name))
        needs_ids = any(s.get('labelled', True) for s in use.of_split(name))
        try:
            dataset = _read(kind, use.root, name, labelled=True)
        except DscreidError as error:
            try:
                dataset = _read(kind, use.root, name, labelled=False)
            except DscreidError:
                dataset = None
            severity = Severity.BROKEN if used and (needs_ids or dataset is None) else Severity.WARNING
            if used and dataset is not None and not needs_ids:
                severity = Severity.INFO  # adaptation is meant for unlabeled data
            remedy = '' if used else 'no stage of this config reads this split'
            findings.append(Finding('index', f'{kind.NAME} {name}', severity, str(error), remedy))
        if dataset is not None:
            splits.append(SplitRecords(name, dataset, used))
            findings.append(_counts(dataset, f'{kind.NAME} {name}'))
    return splits, findings


def _read(
    kind: type[TrackletDataset], root: str, split: str, labelled: bool, **settings: Any
) -> TrackletDataset:
    return kind(root, split, labelled=labelled, min_seq_len=1, expected_statistics=None, **settings)


def _stops(
    bad: Mapping[str, str], owners: Mapping[str, tuple[str, int, int | None]], use: DatasetUse
) -> bool:
    """Whether a run would stop at one of the bad frames (frame → fault)."""
    found = {(owners[frame][0], fault in STOPPING_FAULTS) for frame, fault in bad.items()}
    return any(
        stopping or s.get('on_bad_frame', 'error') == 'error'
        for split, stopping in found
        for s in use.of_split(split)
    )


def _counts(dataset: TrackletDataset, subject: str) -> Finding:
    s = dataset.statistics()['all']
    people = 'no person ids' if s.identities is None else f'{s.identities:,} identities'
    message = (
        f'{people}, {s.tracklets:,} tracklets of {s.shortest} to {s.longest} frames, {s.frames:,} frames'
    )
    values = dict(
        identities=s.identities,
        tracklets=s.tracklets,
        frames=s.frames,
        queries=s.queries,
        index=dataset.fingerprint(),
    )
    return Finding('index', subject, Severity.OK, message, values=values)


def _published(dataset: TrackletDataset, use: DatasetUse, subject: str) -> Finding:
    if not dataset.PUBLISHED:
        message = f'not compared: {type(dataset).__name__} declares no PUBLISHED counts'
        return Finding('published counts', subject, Severity.INFO, message)
    compared = any(s.get('expected_statistics', 'published') == 'published' for s in use.settings)
    if not compared:
        message = 'not compared: the config declares other data in the same layout (expected_statistics=None)'
        return Finding('published counts', subject, Severity.INFO, message)
    try:
        differences = dataset.differences_from_published()
    except DatasetError as error:
        return Finding('published counts', subject, Severity.WARNING, f'not compared ({error})')
    if not differences:
        return Finding(
            'published counts', subject, Severity.OK, 'identities, tracklets and frames as published'
        )
    return Finding(
        'published counts',
        subject,
        Severity.WARNING,
        '; '.join(differences),
        'check that the download is complete; set expected_statistics=None for other data in this layout',
        values=dict(differences=differences),
    )


def _frames(
    splits: list[SplitRecords], use: DatasetUse
) -> tuple[list[str], dict[str, tuple[str, int, int | None]]]:
    """Return all frames without repeats, and split, tracklet and person of the first tracklet listing each."""
    datasets = [(split.name, split.dataset) for split in splits]
    if any(s.get('fake_ir') for s in use.settings):
        datasets += [
            (
                split.name,
                _read(type(split.dataset), use.root, split.name, split.dataset.labelled, fake_ir=True),
            )
            for split in splits
            if any(s.get('fake_ir') for s in use.of_split(split.name))
        ]
    owners: dict[str, tuple[str, int, int | None]] = {}
    for name, dataset in datasets:
        for row, tracklet in enumerate(dataset.tracklets):
            for frame in tracklet.frames:
                owners.setdefault(frame, (name, row, tracklet.pid))
    return list(owners), owners


def _examine_split(
    split: SplitRecords, use: DatasetUse, bad: Mapping[str, str], name: str
) -> Iterator[Finding]:
    subject = f'{name} {split.name}'
    foreign, silent = _foreign(split)
    yield check_foreign(foreign, subject, silent)
    yield check_repeats(split.dataset.tracklets, split.dataset.repeats, subject)
    yield check_balance(split.dataset.tracklets, subject)
    seen: list[tuple] = []
    for settings in use.of_split(split.name):
        rules = (
            settings.get('min_seq_len') or type(split.dataset).MIN_SEQ_LEN,
            settings.get('modality'),
            settings.get('on_bad_frame', 'error'),
            settings.get('foreign_frames') == 'drop',
        )
        if rules in seen:
            continue
        seen.append(rules)
        shortest, modality, policy, drops = rules
        modality = None if modality is None else Modality(modality)
        yield check_drops(
            split.dataset.tracklets, bad.keys(), foreign, subject, shortest, modality, policy, drops
        )


def _foreign(split: SplitRecords) -> tuple[list[ForeignTracklet], list[str]]:
    dataset = split.dataset
    if isinstance(dataset, HITSZVCM):
        return foreign_in_hitsz(*dataset.read_tracks()), []
    if isinstance(dataset, BUPTCampus):
        wheres, frames, told = frames_with_lines(dataset.root, dataset.list_lines())
        return foreign_by_path(wheres, frames, told)
    tracklets = dataset.tracklets
    told = {'modality': [t.modality.value for t in tracklets], 'camera': [str(t.camera) for t in tracklets]}
    if all(t.pid is not None for t in tracklets):
        told['person'] = [str(t.pid) for t in tracklets]
    wheres = dataset.wheres or [f'tracklet {row}' for row in range(len(tracklets))]
    return foreign_by_path(wheres, [t.frames for t in tracklets], told)


def _overlap(splits: list[SplitRecords], subject: str) -> Finding:
    people = {s.name: {t.pid for t in s.dataset.tracklets if t.pid is not None} for s in splits}
    people = {name: pids for name, pids in people.items() if pids}
    frames = {s.name: {frame for t in s.dataset.tracklets for frame in t.frames} for s in splits}
    return check_overlap(people, frames, subject)
