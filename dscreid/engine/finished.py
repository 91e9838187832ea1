"""Decide from the files in a run's folder whether the run is finished."""

from pathlib import Path
from typing import Any

from dscreid.engine.checkpoint_files import POINTER
from dscreid.errors import CheckpointError
from dscreid.utils.files import existing_file
from dscreid.utils.records import file_beside, read_json_object

#: Files that a run writes at its end: the record of its training, its metrics, and the features of its test set.
FINISHED_FILE, METRICS_FILE, FEATURES_FILE = 'finished.json', 'metrics.json', 'features.safetensors'
_WHAT, _REMEDY = 'record of a finished stage', 'remove it and run again with --resume'


def finished_record(work_dir: str | Path) -> dict[str, Any] | None:
    """Return the record of a finished training; None if there is none.

    Raises:
        CheckpointError: If ``finished.json`` is damaged.
    """
    marker = Path(work_dir, FINISHED_FILE)
    return read_json_object(marker, _WHAT, _REMEDY) if marker.is_file() else None


def trained_checkpoint(work_dir: str | Path) -> Path | None:
    """Return the last checkpoint of a run whose training is finished; None if it is not, or if the file is missing.

    Raises:
        CheckpointError: If ``finished.json`` is damaged.
    """
    if (record := finished_record(work_dir)) is None:
        return None
    marker = Path(work_dir, FINISHED_FILE)
    if (named := file_beside(marker, record.get('checkpoint'))) is None:
        raise CheckpointError(f'{marker}: is not a {_WHAT} (it names no checkpoint); {_REMEDY}')
    return existing_file(named)


def run_is_finished(work_dir: str | Path) -> bool:
    """Check whether a run is finished: it was evaluated, and its training, if any, reached the last epoch.

    Raises:
        CheckpointError: If ``finished.json`` is damaged.
    """
    work_dir = Path(work_dir)
    if not all((work_dir / name).is_file() for name in (METRICS_FILE, FEATURES_FILE)):
        return False
    # a config without training writes neither the record nor the pointer
    trains = (work_dir / FINISHED_FILE).is_file() or (work_dir / POINTER).is_file()
    return not trains or trained_checkpoint(work_dir) is not None
