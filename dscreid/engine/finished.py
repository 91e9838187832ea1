"""Decide from the files in a run's folder whether the run is finished."""

from pathlib import Path
from typing import Any

from dscreid.errors import CheckpointError
from dscreid.utils.files import existing_file
from dscreid.utils.records import file_beside, read_json_object

#: Files that a run writes at its end: the record of its training, its metrics, and the features of its test set.
FINISHED_FILE, METRICS_FILE, FEATURES_FILE = 'finished.json', 'metrics.json', 'features.safetensors'
_WHAT, _REMEDY = 'record of a finished stage', 'remove it and run again with --resume'


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
