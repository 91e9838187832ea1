"""All checks of one dataset folder, and of a stage's evaluation protocols on its test data."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dscreid.apis.test import evaluations_of, plan
from dscreid.datasets import BUPTCampus, TrackletDataset
from dscreid.errors import DatasetError, DscreidError
from dscreid.lab.dataset_checks import Finding, Severity, counted, warn_if
from dscreid.lab.dataset_checks.foreign import ForeignTracklet, check_foreign, foreign_by_path
from dscreid.lab.dataset_checks.frames import STOPPING_FAULTS, Owner, check_frames, scan_files
from dscreid.lab.dataset_checks.splits import check_balance, check_drops, check_overlap, check_repeats
from dscreid.lab.doctor.stages import DatasetUse, Stage
from dscreid.registry import DATASETS
from dscreid.structures import Modality


def examine_dataset(use: DatasetUse, jobs: int, check_files: bool = True) -> Iterator[Finding]:
    """Check one dataset folder with ``jobs`` threads, or only its index; yield each finding as soon as it is known."""
    found: Any = DATASETS.get(use.type_name)
    if not (isinstance(found, type) and issubclass(found, TrackletDataset)):
        message = f'{use.type_name} is not a TrackletDataset; its files were not checked'
        yield Finding('index', use.root, Severity.INFO, message)
        return
    kind: type[TrackletDataset] = found
    subject = f'{kind.NAME} in {use.root}'
    if not Path(use.root).expanduser().is_dir():
        variable = f'set the environment variable {use.variable} to it, or ' if use.variable else ''
        layout = f'; expected there: {kind.LAYOUT}' if kind.LAYOUT else ''
        remedy = f'unpack the dataset, and {variable}use --cfg-options data_root=FOLDER{layout}'
        yield Finding('index', subject, Severity.BROKEN, 'the folder does not exist', remedy)
        return
    splits = yield from _read_splits(kind, use)
    if not splits:
        return
    yield _published(splits[0], use, subject)
    bad: Mapping[str, str] = {}
    if check_files:
        owners = _owners(splits, use)
        scan = scan_files(splits[0].storage, list(owners), jobs, kind.NAME)
        bad = scan.bad
        yield from check_frames(scan, owners, subject, _stops(bad, owners, use))
    for dataset in splits:
        yield from _examine_split(dataset, use, bad)
    if any(dataset.splits_overlap for dataset in splits):
        message = 'not compared: the index puts tracklets in several splits'
        yield Finding('overlap', subject, Severity.INFO, message)
    else:
        people = not any(dataset.pids_per_split or dataset.persons_recur for dataset in splits)
        yield check_overlap({dataset.split: dataset.tracklets for dataset in splits}, subject, people)


def check_stage_evaluations(stage: Stage) -> Iterator[Finding]:
    """Check every protocol of a stage's validation and test on each dataset, using only the index.

    Yields findings: broken if a protocol cannot be evaluated, a warning if tracklets belong to no direction or queries
    are in their own gallery.
    """
    try:
        for dataset, protocol in evaluations_of(stage.config):
            yield _check_evaluation(dataset, protocol, stage.subject)
    except DscreidError as error:
        message = 'not checked: the test data cannot be read'
        yield Finding('evaluation', stage.subject, Severity.BROKEN, message, details=(str(error),))


def _check_evaluation(dataset: TrackletDataset, protocol: str, subject: str) -> Finding:
    try:
        found = plan(dataset, protocol)
    except DscreidError as error:
        return Finding('evaluation', subject, Severity.BROKEN, str(error))
    if found is None:
        message = f'{protocol}: no evaluation because split {dataset.split!r} in {dataset.root} has no person ids'
        return Finding('evaluation', subject, Severity.INFO, message)
    directions = ', '.join(
        f'{name} {count.valid:,} of {count.queries:,} queries have a true match among {count.gallery:,} tracklets'
        for name, count in found.directions.items()
    )
    problems = {
        'test tracklets are in no direction': len(found.unranked),
        'queries are also in a gallery that they search, without their own tracklet': found.own_gallery,
    }
    return warn_if(counted(problems), 'evaluation', subject, f'{protocol}: {directions}', 'check the query list')


def _read_splits(kind: type[TrackletDataset], use: DatasetUse) -> Generator[Finding, None, list[TrackletDataset]]:
    """Read the splits as listed in the index, before any rule drops tracklets; with person ids if possible."""
    splits = []
    division = {name: s[name] for s in use.settings for name in kind.DIVIDED_BY if name in s}
    for name in kind.disjoint_splits():
        subject, dataset, settings = f'{kind.NAME} {name}', None, use.of_split(name)
        try:
            dataset = _read(kind, use.root, name, labelled=True, **division)
        except DscreidError as error:
            with suppress(DscreidError):
                dataset = _read(kind, use.root, name, labelled=False, **division)
            severity, remedy = Severity.WARNING, 'no stage of this config reads this split'
            if settings:
                needs_ids = any(s.get('labelled', True) for s in settings)
                # adaptation is meant for unlabeled data
                severity, remedy = Severity.BROKEN if needs_ids or dataset is None else Severity.INFO, ''
            yield Finding('index', subject, severity, str(error), remedy)
        if dataset is not None:
            splits.append(dataset)
            yield _counts(dataset, subject)
    return splits


def _read(kind: type[TrackletDataset], root: str, split: str, labelled: bool, **settings: Any) -> TrackletDataset:
    return kind(root, split, labelled=labelled, min_seq_len=1, expected_statistics=None, **settings)


def _stops(bad: Mapping[str, str], owners: Mapping[str, Owner], use: DatasetUse) -> bool:
    """Whether a run would stop at one of the bad frames (frame → fault)."""
    found = {(owners[frame][0], fault in STOPPING_FAULTS) for frame, fault in bad.items()}
    return any(
        stopping or s.get('on_bad_frame', 'error') == 'error' for split, stopping in found for s in use.of_split(split)
    )


def _counts(dataset: TrackletDataset, subject: str) -> Finding:
    s = dataset.statistics()['all']
    people = 'no person ids' if s.identities is None else f'{s.identities:,} identities'
    message = f'{people}, {s.tracklets:,} tracklets of {s.shortest} to {s.longest} frames, {s.frames:,} frames'
    return Finding('index', subject, Severity.OK, message)


def _published(dataset: TrackletDataset, use: DatasetUse, subject: str) -> Finding:
    check = 'published counts'
    if not dataset.PUBLISHED:
        message = f'not compared: {type(dataset).__name__} declares no PUBLISHED counts'
        return Finding(check, subject, Severity.INFO, message)
    if all(s.get('expected_statistics', 'published') != 'published' for s in use.settings):
        message = 'not compared: the config declares other data in the same layout (expected_statistics=None)'
        return Finding(check, subject, Severity.INFO, message)
    try:
        differences = dataset.differences_from_published()
    except DatasetError as error:
        return Finding(check, subject, Severity.WARNING, f'not compared ({error})')
    if not differences:
        return Finding(check, subject, Severity.OK, 'identities, tracklets and frames as published')
    remedy = 'check that the download is complete; set expected_statistics=None for other data in this layout'
    return Finding(check, subject, Severity.WARNING, '; '.join(differences), remedy)


def _owners(splits: list[TrackletDataset], use: DatasetUse) -> dict[str, Owner]:
    """Map all frames to the split, tracklet and person of the first tracklet that lists them."""
    fake = [
        _read(type(d), use.root, d.split, d.labelled, fake_ir=True)
        for d in splits
        if any(s.get('fake_ir') for s in use.of_split(d.split))
    ]
    owners: dict[str, Owner] = {}
    for dataset in [*splits, *fake]:
        for row, tracklet in enumerate(dataset.tracklets):
            for frame in tracklet.frames:
                owners.setdefault(frame, (dataset.split, row, tracklet.pid))
    return owners


def _examine_split(dataset: TrackletDataset, use: DatasetUse, bad: Mapping[str, str]) -> Iterator[Finding]:
    subject = f'{dataset.NAME} {dataset.split}'
    yield check_foreign(*_foreign(dataset), subject)
    yield check_repeats(dataset.tracklets, dataset.repeats, subject)
    yield check_balance(dataset.tracklets, subject)
    rules = [
        (
            settings.get('min_seq_len') or dataset.MIN_SEQ_LEN,
            None if settings.get('modality') is None else Modality(settings['modality']),
            settings.get('on_bad_frame', 'error'),
        )
        for settings in use.of_split(dataset.split)
    ]
    for rule in dict.fromkeys(rules):
        yield check_drops(dataset.tracklets, bad.keys(), subject, *rule)


def _foreign(dataset: TrackletDataset) -> tuple[list[ForeignTracklet], list[str]]:
    if isinstance(dataset, BUPTCampus):  # its records hold numbers instead of its cameras
        entries = list(dataset.entries())
        lines, tracklets = [line for _, line in entries], [tracklet for tracklet, _ in entries]
        told: dict[str, list[str | None]] = {
            'person': [line.pid for line in lines],
            'modality': [tracklet.modality.name for tracklet in tracklets],
            'camera': [line.camera for line in lines],
            'tracklet': [line.tracklet for line in lines],
        }
        wheres = [f'{line.where} {tracklet.modality.value}' for tracklet, line in entries]
    else:
        tracklets = dataset.tracklets
        told = {
            'person': [None if t.pid is None or t.pid < 0 else str(t.pid) for t in tracklets],
            'modality': [t.modality.value for t in tracklets],
            'camera': [str(t.camera) for t in tracklets],
        }
        wheres = dataset.wheres or [f'tracklet {row}' for row in range(len(tracklets))]
    return foreign_by_path([Path(where).name for where in wheres], [t.frames for t in tracklets], told)
