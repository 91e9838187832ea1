"""Label-free criteria of a run's checkpoints: ``criteria.json`` in its work directory."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dscreid.errors import CheckpointError
from dscreid.utils.files import replacing
from dscreid.utils.records import is_number

RECORD_FILE = 'criteria.json'
RULES = ('greater', 'less')


@dataclass(frozen=True)
class KeptCheckpoint:
    """The best checkpoint so far.

    Attributes:
        criterion: Name of the criterion that chose it.
        rule: ``greater`` or ``less``, the direction of better values.
        epoch: Number of epochs trained.
        value: The criterion's value.
        checkpoint: Name of its file, in the same folder as the record.
    """

    criterion: str
    rule: str
    epoch: int
    value: float
    checkpoint: str


@dataclass(frozen=True)
class SelectionRecord:
    """Criteria of a run by epoch, and the checkpoint that one of them chose.

    Attributes:
        epochs: Values by criterion, for each number of epochs trained: those of 3 describe ``epoch_3.pth``.
        kept: The chosen checkpoint; None if there is none.
    """

    epochs: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    kept: KeptCheckpoint | None = None

    def with_epoch(self, epoch: int, values: Mapping[str, float]) -> 'SelectionRecord':
        """Return the record with the values of an epoch added, or replaced if the epoch was repeated."""
        return replace(self, epochs=dict(sorted({**self.epochs, epoch: dict(values)}.items())))

    def write(self, work_dir: str | Path) -> None:
        """Write the record to a run's folder atomically."""
        content = dict(
            kept=None if self.kept is None else asdict(self.kept),
            epochs={str(epoch): dict(values) for epoch, values in self.epochs.items()},
        )
        with replacing(Path(work_dir, RECORD_FILE)) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


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
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        epochs = {int(epoch): _checked_values(values) for epoch, values in content['epochs'].items()}
        kept = content['kept']
        return SelectionRecord(epochs, None if kept is None else _checked_kept(kept))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = ' '.join(str(error).split())[:100]
        raise CheckpointError(
            f'{path} is not a valid record of criteria ({type(error).__name__}: {reason}); run again with --overwrite'
        ) from error


def _checked_values(values: Mapping[str, float]) -> dict[str, float]:
    if not all(is_number(value) for value in values.values()):
        raise TypeError('a criterion is not a number')
    return dict(values)


def _checked_kept(content: Mapping) -> KeptCheckpoint:
    kept = KeptCheckpoint(**content)
    if not is_number(kept.value) or type(kept.epoch) is not int or kept.rule not in RULES:
        raise TypeError('the kept checkpoint has no value, epoch and rule')
    if not isinstance(kept.criterion, str) or kept.checkpoint != checkpoint_name(kept.criterion, kept.epoch):
        # this file is removed when another checkpoint is chosen, so the name must not refer to any other file
        raise TypeError('the kept checkpoint does not have the name of its criterion and epoch')
    return kept


def is_chosen(epoch: int, value: float, kept: KeptCheckpoint | None, rule: str) -> bool:
    """Return whether an epoch's checkpoint replaces the one kept so far.

    Among equal values the later epoch wins. NaN is never chosen. A repetition of the kept epoch always replaces it.
    """
    if math.isnan(value):
        return False
    if kept is None or kept.epoch == epoch:
        return True
    return value >= kept.value if rule == 'greater' else value <= kept.value
