"""Label-free criteria of a run's checkpoints: ``criteria.json`` in its work directory."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dscreid.errors import CheckpointError
from dscreid.utils.records import is_number, read_json_object, write_json

RECORD_FILE = 'criteria.json'
RULES = ('greater', 'less')
_WHAT, _REMEDY = 'record of criteria', 'run again with --overwrite'


@dataclass(frozen=True)
class KeptCheckpoint:
    """The best checkpoint so far: its criterion, direction (``greater`` or ``less``), epochs, value and file name."""

    criterion: str
    rule: str
    epoch: int
    value: float
    checkpoint: str


@dataclass(frozen=True)
class SelectionRecord:
    """Criteria by number of epochs trained (those of 3 describe ``epoch_3.pth``), and the checkpoint chosen, if any."""

    epochs: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    kept: KeptCheckpoint | None = None

    def with_epoch(self, epoch: int, values: Mapping[str, float]) -> 'SelectionRecord':
        """Return the record with the values of an epoch added, or replaced if the epoch was repeated."""
        return replace(self, epochs=dict(sorted({**self.epochs, epoch: dict(values)}.items())))

    def write(self, work_dir: str | Path) -> None:
        """Write the record to a run's folder atomically."""
        write_json(Path(work_dir, RECORD_FILE), {'kept': self.kept and asdict(self.kept), 'epochs': self.epochs})


def criterion_name(criterion: str | Mapping[str, Any] | None) -> str | None:
    """Return the name of the value that chooses checkpoints: a criterion's name or the type of its config."""
    return str(criterion['type']) if isinstance(criterion, Mapping) else criterion


def checkpoint_name(criterion: str, epoch: int) -> str:
    """Return the file name of a checkpoint chosen by a criterion."""
    return f'best_{criterion}_epoch_{epoch}.pth'


def read_record(work_dir: str | Path) -> SelectionRecord | None:
    """Read the record of a run, or return None; raise CheckpointError if it is not valid."""
    path = Path(work_dir, RECORD_FILE)
    if not path.is_file():
        return None
    content = read_json_object(path, _WHAT, _REMEDY)
    try:
        epochs = {int(epoch): dict(values) for epoch, values in content['epochs'].items()}
        kept = None if content['kept'] is None else KeptCheckpoint(**content['kept'])
        _check(epochs, kept)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = ' '.join(str(error).split())[:100]
        raise CheckpointError(f'{path}: is not a {_WHAT} ({type(error).__name__}: {reason}); {_REMEDY}') from error
    return SelectionRecord(epochs, kept)


def _check(epochs: Mapping[int, Mapping[str, float]], kept: KeptCheckpoint | None) -> None:
    numbers = [value for values in epochs.values() for value in values.values()]
    if kept is not None:
        numbers.append(kept.value)
        valid = type(kept.epoch) is int and kept.rule in RULES and isinstance(kept.criterion, str)
        # this file is removed when another checkpoint is chosen, so the name must not refer to any other file
        if not valid or kept.checkpoint != checkpoint_name(kept.criterion, kept.epoch):
            raise TypeError('the kept checkpoint does not have the name of its criterion and epoch')
    if not all(map(is_number, numbers)):
        raise TypeError('a criterion is not a number')


def is_chosen(epoch: int, value: float, kept: KeptCheckpoint | None, rule: str) -> bool:
    """Return whether an epoch's checkpoint replaces the one kept so far.

    Among equal values the later epoch wins. NaN is never chosen. A repetition of the kept epoch always replaces it.
    """
    if kept is None or kept.epoch == epoch:
        return not math.isnan(value)
    return value >= kept.value if rule == 'greater' else value <= kept.value
