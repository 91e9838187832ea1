"""Find the files that runs wrote in their folder, and check whether a new run may start there."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from dscreid.engine.checkpoint_files import FEATURES_FILE, FINISHED_FILE, METRICS_FILE, POINTER, run_of
from dscreid.engine.hooks.bad_frames_hook import RECORD_FILE as BAD_FRAMES_FILE
from dscreid.engine.selected_on_test import CHECKPOINT_FILE as SELECTED_CHECKPOINT
from dscreid.engine.selected_on_test import RECORD_FILE as SELECTED_FILE
from dscreid.engine.selection_record import RECORD_FILE as CRITERIA_FILE
from dscreid.errors import ConfigError
from dscreid.utils.files import LOCK_FILE, is_partial

#: Result files of a run. The pointer is removed first, so that a partly removed run is not continued.
_RESULTS = (POINTER, FINISHED_FILE, METRICS_FILE, FEATURES_FILE)
_CHECKPOINT = re.compile(rf'(epoch|best_\w+_epoch)_\d+\.pth|{re.escape(SELECTED_CHECKPOINT)}')
#: Config of the last evaluation in a folder. Older versions wrote it under a time stamp.
EVALUATION_CONFIG = 'evaluation_config.py'
#: MMEngine's log folder for each start.
_START = re.compile(r'\d{8}_\d{6}')
#: Records and configs in a run's folder, and the log and the metrics in the folders of its starts.
_OTHERS = re.compile(
    rf'{re.escape(CRITERIA_FILE)}|{re.escape(SELECTED_FILE)}|{re.escape(BAD_FRAMES_FILE)}|({re.escape(EVALUATION_CONFIG)}|START\.py)|'
    r'START/START\.(log|json)|START/vis_data/(scalars\.json|START\.json|config\.py|events\.out\.tfevents\..+)'
    .replace('START', _START.pattern)
)  # fmt: skip


def check_unused(work_dir: Path, resume: bool, overwrite: bool) -> None:
    """Raise a ConfigError if a run would replace results of another run or files of another program.

    A single checkpoint ``epoch_0.pth`` is not a result: a run killed at its start leaves one.
    """
    found = results_of(work_dir)
    names = [path.name for path in found]
    if not found or (resume and {POINTER, FINISHED_FILE} & set(names)):
        return
    if names == ['epoch_0.pth'] or overwrite:
        for path in found:
            if _CHECKPOINT.fullmatch(path.name) and run_of(path) is None:
                reason = 'is not a complete checkpoint of this package, and the run may replace it'
                raise ConfigError(f'{path}: {reason}; move it, or choose another --work-dir')
        return
    shown = ', '.join(names[:3]) + (', …' if len(names) > 3 else '')
    way = 'it has no checkpoint to continue from' if resume else 'continue it with --resume'
    raise ConfigError(f'{work_dir}: holds a run ({shown}); {way}, choose another --work-dir, or use --overwrite')


def check_kept(source: Path, work_dir: Path) -> None:
    """Refuse source weights that ``overwrite`` would remove before the run reads them."""
    if source.resolve() in {path.resolve() for path in files_of_run(work_dir)}:
        reason = '--overwrite would remove these weights before they are read'
        raise ConfigError(f'{source}: {reason}; move them, or choose another --work-dir')


def results_of(work_dir: Path) -> list[Path]:
    """List results and checkpoints in a folder, recognized by their names."""
    named = (work_dir / name for name in _RESULTS)
    checkpoints = sorted(path for path in work_dir.glob('*.pth') if _CHECKPOINT.fullmatch(path.name))
    return [*(path for path in named if path.is_file()), *checkpoints]


def files_of_run(work_dir: Path) -> list[Path]:
    """List all files that runs wrote in a folder, which a run that replaces them removes; results come first."""
    inside = [path for place in ('*', '*/*', '*/vis_data/*') for path in work_dir.glob(place)]
    own = (path for path in inside if _OTHERS.fullmatch(path.relative_to(work_dir).as_posix()))
    return [*results_of(work_dir), *sorted(path for path in own if not path.parent.is_symlink())]


def remove_files(paths: list[Path]) -> None:
    """Remove files, in order, and then the log folders that are empty."""
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in sorted({path.parent for path in paths}, reverse=True):
        for part in (folder, folder.parent):  # .../20260101_120000/vis_data, then .../20260101_120000
            is_log = part.name == 'vis_data' or _START.fullmatch(part.name)
            if is_log and part.is_dir() and not any(part.iterdir()):
                part.rmdir()


def remove_run_folder(folder: Path, own: Iterable[str]) -> None:
    """Remove the folder of a run and of the caller's files ``own``, or raise a ConfigError if it contains others."""
    known = {*files_of_run(folder), *(folder / name for name in (LOCK_FILE, *own))}
    for path in sorted(folder.rglob('*')):
        if (path.is_symlink() or not path.is_dir()) and path not in known and not is_partial(path):
            reason = 'the folder was to be replaced, but this file was not written by dscreid'
            raise ConfigError(f'{path}: {reason}; move it, or choose another --out')
    shutil.rmtree(folder)
