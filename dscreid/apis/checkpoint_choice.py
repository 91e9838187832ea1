"""Choose which checkpoint of a finished training run is evaluated, and describe the choice for its metrics file."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.logging import print_log

from dscreid.engine.selected_on_test import read_selected
from dscreid.engine.selection_record import RECORD_FILE, criterion_name, read_record
from dscreid.errors import CheckpointError


def choose_checkpoint(config: Config, last: Path) -> tuple[Path, dict[str, Any]]:
    """Choose the checkpoint to evaluate by the criterion of ``default_hooks.selection``, or the ``last`` one.

    Also returns a note for ``metrics.json`` that says why, empty without a criterion. With ``SelectedOnTestHook``, the
    note has the test-selected epoch of the run, under ``test_selected``, regardless of the chosen checkpoint.

    Raises:
        CheckpointError: If the record of the criteria is missing.
    """
    selection = (config.get('default_hooks') or {}).get('selection') or {}
    criterion = criterion_name(selection.get('criterion'))
    note = _selected_on_test(last)
    if criterion is None:
        return last, note
    record = read_record(last.parent)
    if record is None:
        raise CheckpointError(
            f'{last.parent / RECORD_FILE}, which says what {criterion} chose, is missing; run again with --overwrite, '
            'or evaluate a checkpoint with dscreid test'
        )
    kept = record.kept
    entry: dict[str, Any] = dict(file=last.name, epoch=None, criterion=criterion, value=None)
    reason = f'the last one, because {criterion} was undefined in all epochs'
    if kept is not None:
        entry |= dict(file=kept.checkpoint, epoch=kept.epoch, value=kept.value)
        extreme = {'greater': 'highest', 'less': 'lowest'}[kept.rule]
        reason = f'{extreme} {criterion} of {len(record.epochs)} epochs, without labels'
    path = last.with_name(Path(entry['file']).name)
    level = logging.WARNING if kept is None else logging.INFO
    print_log(f'evaluating {path.name}: {reason}', logger='current', level=level)
    return path, note | dict(checkpoint=entry | dict(reason=reason))


def _selected_on_test(last: Path) -> dict[str, Any]:
    """Return the test-selected epoch of a run as an entry of ``metrics.json``; empty if the run has none."""
    selected = read_selected(last.parent)
    if selected is None:
        return {}
    message = f'test-selected, as in published figures: epoch {selected.epoch}, {selected.metric} {selected.value:.1%}'
    print_log(f'{message}; the result of the run is that of its last epoch', logger='current')
    return dict(test_selected=asdict(selected))
