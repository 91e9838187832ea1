"""What is known of a run's checkpoints without labels: ``criteria.json`` in its work directory."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dscreid.errors import CheckpointError
from dscreid.utils.files import replacing
from dscreid.utils.records import is_number

RECORD_FILE = 'criteria.json'
RULES = ('greater', 'less')


@dataclass(frozen=True)
class KeptCheckpoint:
    """The checkpoint that stands out so far.

    Attributes:
        criterion: By what it was chosen.
        rule: Whether the ``greater`` or the ``less`` value is the better one.
        epoch: Epochs of training behind it.
        value: The criterion's value.
        checkpoint: Its file's name, beside the record.
    """

    criterion: str
    rule: str
    epoch: int
    value: float
    checkpoint: str


@dataclass(frozen=True)
class SelectionRecord:
    """Criteria of a run by epoch, and the checkpoint kept by one of them.

    Attributes:
        epochs: Values by criterion, by the number of epochs trained before they were taken: those of 3 describe
            ``epoch_3.pth``.
        kept: None where no checkpoint is kept.
    """

    epochs: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    kept: KeptCheckpoint | None = None

    def with_epoch(self, epoch: int, values: Mapping[str, float]) -> 'SelectionRecord':
        """The record with the values of one more epoch, or with new ones of an epoch that was repeated."""
        return replace(self, epochs=dict(sorted({**self.epochs, epoch: dict(values)}.items())))

    def write(self, work_dir: str | Path) -> None:
        """Write the record into a run's folder, as a whole."""
        content = dict(
            kept=None if self.kept is None else asdict(self.kept),
            epochs={str(epoch): dict(values) for epoch, values in self.epochs.items()},
        )
        with replacing(Path(work_dir, RECORD_FILE)) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def checkpoint_name(criterion: str, epoch: int) -> str:
    """The file of the checkpoint that a criterion chose."""
    return f'best_{criterion}_epoch_{epoch}.pth'


def read_record(work_dir: str | Path) -> SelectionRecord | None:
    """The record of a run, or None where the run has none.

    Raises:
        CheckpointError: The file is no such record.
    """
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
            f'{path}: is no record of criteria ({type(error).__name__}: {reason}); run anew with --overwrite'
        ) from error


def _checked_values(values: Mapping[str, float]) -> dict[str, float]:
    if not all(is_number(value) for value in values.values()):
        raise TypeError('a criterion is no number')
    return dict(values)


def _checked_kept(content: Mapping) -> KeptCheckpoint:
    kept = KeptCheckpoint(**content)
    if not is_number(kept.value) or type(kept.epoch) is not int or kept.rule not in RULES:
        raise TypeError('the kept checkpoint has no value, epoch and rule')
    if not isinstance(kept.criterion, str) or kept.checkpoint != checkpoint_name(kept.criterion, kept.epoch):
        # it is removed when another one is chosen, so that it must not name a file of others
        raise TypeError('the kept checkpoint does not have the name of its criterion and epoch')
    return kept


def is_chosen(epoch: int, value: float, kept: KeptCheckpoint | None, rule: str) -> bool:
    """Whether an epoch's checkpoint takes the place of the one kept so far.

    Among equal values the later epoch counts, as it does without any criterion. NaN is never chosen.

    Args:
        epoch: Epochs of training behind the checkpoint.
        value: Its value of the criterion.
        kept: The checkpoint kept so far; the same epoch again (a repeated one) always replaces it.
        rule: ``greater`` or ``less``, whichever is better.
    """
    if math.isnan(value):
        return False
    if kept is None or kept.epoch == epoch:
        return True
    return value >= kept.value if rule == 'greater' else value <= kept.value
