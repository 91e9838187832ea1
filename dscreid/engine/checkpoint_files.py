"""The checkpoints in a run's folder: which one a run continues from, and what a killed one left behind."""

import logging
import re
import zipfile
from pathlib import Path

from mmengine.logging import print_log

from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import damaged_file, load_checkpoint, meta_of
from dscreid.utils.files import existing_file, replacing
from dscreid.utils.records import file_beside

POINTER = 'last_checkpoint'
#: Where a checkpoint's ``meta`` names the run that wrote it; resumed runs keep the name.
RUN_KEY = 'run'
_EPOCH_FILE = re.compile(r'epoch_(\d+)\.pth')


def write_pointer(work_dir: str | Path, checkpoint: str | Path) -> None:
    """Name the checkpoint that a run continues from, as a whole: the pointer is never empty or cut."""
    with replacing(Path(work_dir, POINTER)) as temporary:
        temporary.write_text(str(checkpoint), encoding='utf-8')


def last_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint that the pointer of a run names, looked for in ``work_dir`` by its name; None before the first.

    Raises:
        CheckpointError: It was removed, or the pointer names no file.
    """
    named = _named(work_dir)
    if named is not None and existing_file(named) is None:
        raise CheckpointError(
            f'{work_dir / POINTER}: names {named.name[:100]}, which is missing; write the name of another checkpoint '
            'there, or run anew with --overwrite'
        )
    return named


def resumable_checkpoint(work_dir: Path) -> Path | None:
    """The newest checkpoint of a run that can be read whole; None before the first.

    Where the one that the pointer names is missing or damaged, the newest earlier one of the same run takes its place,
    with a warning. ``epoch_0.pth`` tells which run that is: a file of the same name that an earlier run left in the
    folder is never taken.

    Raises:
        CheckpointError: There is a pointer, but no checkpoint of the run is whole.
    """
    named = _named(work_dir)
    if named is None:
        return None
    try:
        check_whole(named)
        return named
    except CheckpointError as error:
        fault = error
    return earlier_checkpoint(work_dir, named, fault)


def earlier_checkpoint(work_dir: Path, named: Path, fault: CheckpointError) -> Path:
    """The newest whole checkpoint before one that cannot be continued from, with a warning.

    Args:
        work_dir: The run's folder.
        named: The checkpoint that cannot be used.
        fault: Why.

    Raises:
        CheckpointError: No earlier checkpoint of the same run is whole.
    """
    earlier = _earlier_of_same_run(work_dir, named)
    if earlier is None:
        raise CheckpointError(
            f'{fault} No earlier checkpoint of the same run is whole: write the name of another one into '
            f'{work_dir / POINTER}, or run anew with --overwrite'
        ) from fault
    print_log(f'{fault} Continuing from {earlier.name} instead', logger='current', level=logging.WARNING)
    return earlier


def check_whole(path: Path) -> dict:
    """Read a checkpoint of this project and compare its contents with their checksums, which torch does not.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    content = load_checkpoint(path)
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
        except Exception as error:  # readers of damaged archives may raise anything
            raise damaged_file(path, error) from error
        if damaged is not None:
            raise damaged_file(path, ValueError(f'checksum of {damaged} is wrong'))
    return content


def run_of(path: Path) -> str | None:
    """The run that wrote a checkpoint; None if the file is not whole or does not say."""
    try:
        run = meta_of(check_whole(path)).get(RUN_KEY)
    except CheckpointError:
        return None
    return run if isinstance(run, str) else None


def _named(work_dir: Path) -> Path | None:
    """What the pointer names, there or not; None without a pointer."""
    pointer = work_dir / POINTER
    if not pointer.is_file():
        return None
    try:
        named = file_beside(pointer, pointer.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError):
        named = None
    if named is None:
        raise CheckpointError(
            f'{pointer}: names no file; write the name of a checkpoint there, or run anew with --overwrite'
        )
    return named


def _earlier_of_same_run(work_dir: Path, named: Path) -> Path | None:
    """The newest whole checkpoint before ``named`` that the run of ``epoch_0.pth`` wrote."""
    number = _epoch(named)
    if number is None or (run := run_of(work_dir / 'epoch_0.pth')) is None:
        return None
    candidates = [path for path in work_dir.glob('epoch_*.pth') if (_epoch(path) or 0) < number]
    for path in sorted(candidates, key=lambda path: _epoch(path) or 0, reverse=True):
        if run_of(path) == run:
            return path
    return None


def _epoch(path: Path) -> int | None:
    match = _EPOCH_FILE.fullmatch(path.name)
    return int(match[1]) if match else None
