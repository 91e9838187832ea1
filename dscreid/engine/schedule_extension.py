"""Schedules of a resumed run that is to train for another number of epochs than it was begun with."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.optim import _ParamScheduler
from mmengine.runner import Runner

from dscreid.errors import CheckpointError

#: What a scheduler's state holds of its progress; the rest is its shape.
_PROGRESS = {'last_step', '_global_step', '_last_value', 'base_values', 'verbose'}


def check_schedules(path: Path, schedulers: Any, saved: Any) -> None:
    """Refuse a checkpoint whose schedules differ from the run's and cannot be computed anew.

    Args:
        path: The checkpoint, for messages.
        schedulers: Of the runner, built; None if it has none.
        saved: Their states in the checkpoint.

    Raises:
        CheckpointError: They differ, and one follows the metrics of past epochs, or they are of several optimizers.
    """
    if not _differ(schedulers, saved):
        return
    if isinstance(schedulers, Mapping):
        reason = 'schedules of several optimizers'
    elif followers := [type(own).__name__ for own in schedulers if _follows_metrics(own)]:
        reason = f'{followers[0]}, which follows the metrics of past epochs,'
    else:
        return
    raise CheckpointError(
        f'{path}: its schedules end at another epoch, and {reason} cannot be computed anew; resume with the '
        'train_cfg.max_epochs of the run, or choose another --work-dir'
    )


def recompute_schedules(runner: Runner, content: dict[str, Any]) -> None:
    """Let a checkpoint continue with the runner's schedules if theirs has another shape.

    MMEngine restores a schedule with its old end, and its schedulers compute each value from the last one. Here the new
    schedules run from the start to the checkpoint's iteration, and their states and values replace the old ones: the
    epochs to come get the learning rates that the new schedule gives them.

    Args:
        runner: Its optimizer and schedules are built and were not stepped.
        content: The checkpoint; changed in place.
    """
    schedulers, saved = runner.param_schedulers, content.get('param_schedulers')
    if not _differ(schedulers, saved):
        return
    _replay(schedulers, saved, len(runner.train_dataloader))
    state = content['optimizer']
    groups = [*state['param_groups'], *filter(None, [state.get('base_param_settings')])]
    before = max((group['lr'] for group in groups), default=0.0)
    for group, own in zip(groups, runner.optim_wrapper.param_groups, strict=True):
        group.update({scheduler.param_name: own[scheduler.param_name] for scheduler in schedulers})
    content['param_schedulers'] = [scheduler.state_dict() for scheduler in schedulers]
    after = max((group['lr'] for group in groups), default=0.0)
    runner.logger.info(
        f'the schedules end elsewhere than those of the checkpoint: they are computed anew, and from epoch '
        f'{content["meta"]["epoch"] + 1} on the learning rate follows the new ones ({before:.3g} -> {after:.3g}); '
        'epochs before were trained with the old ones'
    )


def _replay(schedulers: Sequence[_ParamScheduler], saved: Sequence[Mapping], epoch_length: int) -> None:
    """Step schedulers as often as the saved ones were, in the order in which training steps them."""
    left = [state['_global_step'] - own._global_step for own, state in zip(schedulers, saved, strict=True)]
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Detected call of `scheduler.step', category=UserWarning)
        iteration = 0
        while any(count > 0 for count in left):
            iteration += 1
            epoch_ends = iteration % epoch_length == 0
            for number, scheduler in enumerate(schedulers):
                if left[number] > 0 and (epoch_ends or not scheduler.by_epoch):
                    scheduler.step()
                    left[number] -= 1


def _differ(schedulers: Any, saved: Any) -> bool:
    """Whether schedules have another shape, for example another end, than the saved ones."""
    if not schedulers or not saved:
        return False
    if isinstance(schedulers, Mapping):
        return any(_any_differs(own, saved[name]) for name, own in schedulers.items())
    return _any_differs(schedulers, saved)


def _any_differs(schedulers: Sequence[_ParamScheduler], saved: Sequence[Mapping]) -> bool:
    pairs = zip(schedulers, saved, strict=True)
    return any(_shape(own, own.state_dict()) != _shape(own, state) for own, state in pairs)


def _shape(scheduler: _ParamScheduler, state: Mapping[str, Any]) -> dict[str, Any]:
    names = {'begin', 'end'} if _follows_metrics(scheduler) else scheduler.state_dict().keys() - _PROGRESS
    return {name: state.get(name) for name in names}


def _follows_metrics(scheduler: _ParamScheduler) -> bool:
    return bool(getattr(scheduler, 'need_val_args', False))
