"""Choose the checkpoint of a finished run to evaluate: the last one, or the one chosen by a label-free criterion."""

import logging
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.logging import print_log

from dscreid.engine.selection_record import RECORD_FILE, KeptCheckpoint, criterion_name, read_record
from dscreid.errors import CheckpointError


def choose_checkpoint(config: Config, last: Path) -> tuple[Path, dict[str, Any]]:
    """Choose the checkpoint to evaluate.

    Args:
        config: The run's config; ``default_hooks.selection.criterion`` names the criterion. Without one, the last
            checkpoint is used.
        last: The run's last checkpoint, in its work directory.

    Returns:
        The checkpoint, and a note for ``metrics.json``. The note is empty without a criterion. Otherwise it contains
        ``checkpoint`` with the file, its number of epochs of training, the criterion, its value (None if it was
        undefined in all epochs, in which case the last checkpoint is used) and the reason in words.

    Raises:
        CheckpointError: If the record of the criteria or the chosen checkpoint is missing.
    """
    selection = (config.get('default_hooks') or {}).get('selection') or {}
    criterion = criterion_name(selection.get('criterion'))
    if criterion is None:
        return last, {}
    record = read_record(last.parent)
    if record is None:
        raise CheckpointError(
            f'{last.parent / RECORD_FILE}, which says what {criterion} chose, is missing; run again with --overwrite, '
            'or evaluate a checkpoint with tools/test.py'
        )
    if record.kept is None:
        return last, _fallback_note(criterion, last)
    return _existing(last.parent, record.kept), _note(record.kept, len(record.epochs))


def _existing(work_dir: Path, kept: KeptCheckpoint) -> Path:
    path = work_dir / Path(kept.checkpoint).name
    if not path.is_file():
        raise CheckpointError(
            f'{path}: the checkpoint that {kept.criterion} chose is missing; run again with --overwrite, or evaluate '
            'another one with tools/test.py'
        )
    return path


def _note(kept: KeptCheckpoint, num_epochs: int) -> dict[str, Any]:
    extreme = {'greater': 'highest', 'less': 'lowest'}[kept.rule]
    reason = f'{extreme} {kept.criterion} of {num_epochs} epochs, without labels'
    print_log(f'evaluating {kept.checkpoint}: {reason}', logger='current')
    return dict(
        checkpoint=dict(
            file=kept.checkpoint, epoch=kept.epoch, criterion=kept.criterion, value=kept.value, reason=reason
        )
    )


def _fallback_note(criterion: str, last: Path) -> dict[str, Any]:
    reason = f'the last one, because {criterion} was undefined in all epochs'
    print_log(f'evaluating {last.name}: {reason}', logger='current', level=logging.WARNING)
    return dict(checkpoint=dict(file=last.name, epoch=None, criterion=criterion, value=None, reason=reason))
