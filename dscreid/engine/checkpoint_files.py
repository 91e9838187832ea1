"""Find the checkpoint in a run's folder from which the run can resume, and decide whether the run is finished."""

import contextlib
import logging
import re
import zipfile
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import damaged_file, load_checkpoint, meta_of
from dscreid.utils.files import existing_file, replacing
from dscreid.utils.records import file_beside, read_json_object

POINTER = 'last_checkpoint'
#: Key in a checkpoint's ``meta`` for the name of the run that wrote it; resumed runs keep the name.
RUN_KEY = 'run'
#: Files that a run writes at its end: the record of its training, its metrics, and the features of its test set.
FINISHED_FILE, METRICS_FILE, FEATURES_FILE = 'finished.json', 'metrics.json', 'features.safetensors'
_WHAT, _REMEDY = 'record of a finished stage', 'remove it and run again with --resume'


def write_pointer(work_dir: str | Path, checkpoint: str | Path) -> None:
    """Atomically write the pointer file that names the checkpoint to resume from."""
    with replacing(Path(work_dir, POINTER)) as temporary:
        temporary.write_text(str(checkpoint), encoding='utf-8')


def last_checkpoint(work_dir: Path) -> Path | None:
    """Return the existing checkpoint in ``work_dir`` that the pointer file names; None before the first checkpoint."""
    named = _named(work_dir)
    if named is not None and existing_file(named) is None:
        raise CheckpointError(
            f'{work_dir / POINTER}: names {named.name[:100]}, which is missing; name another one, or use --overwrite'
        )
    return named


def resumable_checkpoint(work_dir: Path) -> Path | None:
    """Return the newest intact checkpoint of a run; None before the first checkpoint.

    If the named one is damaged, this is an earlier one, with a warning. ``epoch_0.pth`` identifies the run, so files
    left in the folder by an earlier run are never used.

    Raises:
        CheckpointError: If no checkpoint of the run is intact.
    """
    named = _named(work_dir)
    try:
        if named is not None:
            check_whole(named)
        return named
    except CheckpointError as fault:
        run = run_of(work_dir / 'epoch_0.pth')
        paths = [path for path in work_dir.glob('epoch_*.pth') if _epoch(path) < _epoch(named)]
        for earlier in sorted(paths, key=_epoch, reverse=True):
            if run is not None and run_of(earlier) == run:
                print_log(f'{fault} Continuing from {earlier.name} instead', logger='current', level=logging.WARNING)
                return earlier
        raise CheckpointError(
            f'{fault} No earlier checkpoint of the same run is intact: write the name of another one into '
            f'{work_dir / POINTER}, or start again with --overwrite'
        ) from fault


def check_whole(path: Path) -> dict:
    """Read a checkpoint of this project and verify its checksums, which torch does not do."""
    content = load_checkpoint(path)
    if not zipfile.is_zipfile(path):
        return content
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # readers of damaged archives may raise anything
        raise damaged_file(path, error) from error
    if damaged is not None:
        raise damaged_file(path, ValueError(f'checksum of {damaged} is wrong'))
    return content


def run_of(path: Path) -> str | None:
    """Return the name of the run that wrote a checkpoint; None if the file is damaged or has no name."""
    try:
        run = meta_of(check_whole(path)).get(RUN_KEY)
    except CheckpointError:
        return None
    return run if isinstance(run, str) else None


def _named(work_dir: Path) -> Path | None:
    """Return the path that the pointer names, whether or not it exists; None without a pointer."""
    pointer = work_dir / POINTER
    if not pointer.is_file():
        return None
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if (named := file_beside(pointer, pointer.read_text(encoding='utf-8'))) is not None:
            return named
    raise CheckpointError(f'{pointer}: does not name a file; name a checkpoint in it, or start again with --overwrite')


def _epoch(path: Path | None) -> int:
    match = re.fullmatch(r'epoch_(\d+)\.pth', path.name) if path else None
    return int(match[1]) if match else 0


def finished_record(work_dir: str | Path) -> dict[str, Any] | None:
    """Return the record of a finished training, or None; raise CheckpointError if it is damaged."""
    marker = Path(work_dir, FINISHED_FILE)
    return read_json_object(marker, _WHAT, _REMEDY) if marker.is_file() else None


def trained_checkpoint(work_dir: str | Path) -> Path | None:
    """Return the last checkpoint of a finished training; None if it is not finished, or if the file is missing."""
    if (record := finished_record(work_dir)) is None:
        return None
    marker = Path(work_dir, FINISHED_FILE)
    if (named := file_beside(marker, record.get('checkpoint'))) is None:
        raise CheckpointError(f'{marker}: is not a {_WHAT} (it names no checkpoint); {_REMEDY}')
    return existing_file(named)
