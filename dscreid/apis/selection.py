"""Choose the checkpoint of a finished run to evaluate: the last one, or the one chosen by a label-free criterion."""

import logging
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.logging import print_log

from dscreid.engine.selection_record import RECORD_FILE, criterion_name, read_record
from dscreid.errors import CheckpointError


def choose_checkpoint(config: Config, last: Path) -> tuple[Path, dict[str, Any]]:
    """Choose the checkpoint to evaluate by the criterion of ``default_hooks.selection``.

    Returns:
        The checkpoint, and a note for ``metrics.json`` that says why. It is the run's ``last`` one, without a note, if
        there is no criterion, and the last one if the criterion was undefined in all epochs.

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
    kept = record.kept
    if kept is None:
        path, epoch, value = last, None, None
        reason = f'the last one, because {criterion} was undefined in all epochs'
    else:
        path, epoch, value = last.with_name(Path(kept.checkpoint).name), kept.epoch, kept.value
        extreme = {'greater': 'highest', 'less': 'lowest'}[kept.rule]
        reason = f'{extreme} {criterion} of {len(record.epochs)} epochs, without labels'
        if not path.is_file():
            raise CheckpointError(
                f'{path}: the checkpoint that {criterion} chose is missing; run again with --overwrite, or evaluate '
                'another one with tools/test.py'
            )
    level = logging.WARNING if kept is None else logging.INFO
    print_log(f'evaluating {path.name}: {reason}', logger='current', level=level)
    entry = dict(file=path.name, epoch=epoch, criterion=criterion, value=value, reason=reason)
    return path, dict(checkpoint=entry)
