"""Record of the epoch that is best on the test set, which published figures report: ``test_selected.json``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dscreid.errors import CheckpointError
from dscreid.utils.records import is_number, read_json_object, write_json

RECORD_FILE, CHECKPOINT_FILE = 'test_selected.json', 'test_selected.pth'
_WHAT, _REMEDY = 'record of the test-selected epoch', 'run again with --overwrite'


@dataclass(frozen=True)
class SelectedEpoch:
    """The epoch, from 1, with the highest value of a test metric, and all its test metrics in [0, 1]."""

    metric: str
    epoch: int
    metrics: Mapping[str, float]

    @property
    def value(self) -> float:
        """The value of the metric that selects."""
        return self.metrics[self.metric]

    def write(self, work_dir: str | Path) -> None:
        """Write the record to a run's folder atomically."""
        write_json(Path(work_dir, RECORD_FILE), asdict(self))


def read_selected(work_dir: str | Path) -> SelectedEpoch | None:
    """Read the record of a run, or return None; raise CheckpointError if it is not valid."""
    path = Path(work_dir, RECORD_FILE)
    return selected_of(path, read_json_object(path, _WHAT, _REMEDY)) if path.is_file() else None


def selected_of(path: str | Path, content: Mapping) -> SelectedEpoch:
    """Convert the content of a record, which ``path`` holds; raise CheckpointError if it is not valid."""
    try:
        selected = SelectedEpoch(content['metric'], content['epoch'], dict(content['metrics']))
        valid = type(selected.epoch) is int and all(map(is_number, selected.metrics.values()))
        valid = valid and selected.metric in selected.metrics
    except (KeyError, TypeError, ValueError):
        valid = False
    if not valid:
        raise CheckpointError(f'{path}: is not a {_WHAT}; {_REMEDY}')
    return selected
