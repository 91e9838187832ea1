"""Recompute the schedules of a run that is resumed with a different number of epochs."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.optim import _ParamScheduler
from mmengine.runner import Runner

#: Keys of a scheduler's state that record its progress; the other keys define its shape.
_PROGRESS = {'last_step', '_global_step', '_last_value', 'base_values', 'verbose'}


def why_not_recomputable(schedulers: Any, saved: Any) -> str | None:
    """Explain why a run's schedules cannot replace a checkpoint's; None if they can or are the same.

    Args:
        schedulers: The runner's schedulers, built; None if it has none.
        saved: The schedulers' states in the checkpoint.
    """
    if not _differ(schedulers, saved):
        return None
    if isinstance(schedulers, Mapping):
        return 'schedules of several optimizers'
    followers = [type(own).__name__ for own in schedulers if _follows_metrics(own)]
    return f'{followers[0]}, which follows the metrics of past epochs,' if followers else None


def recompute_schedules(runner: Runner, content: dict[str, Any]) -> None:
    """Replace a checkpoint's schedules by the runner's if their shapes differ.

    MMEngine restores a schedule with its old end, and computes each value from the previous one. This function steps
    the new schedules to the checkpoint's iteration and replaces the saved states and values.

    Args:
        runner: A runner whose optimizer and schedules are built but not yet stepped.
        content: The checkpoint; changed in place.
    """
    schedulers, saved = runner.param_schedulers, content.get('param_schedulers') or []
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
        'the schedules end at another epoch than those of the checkpoint: from epoch '
        f'{content["meta"]["epoch"] + 1} on the learning rate follows the new ones ({before:.3g} -> {after:.3g})'
    )


def _replay(schedulers: Sequence[_ParamScheduler], saved: Sequence[Mapping], epoch_length: int) -> None:
    """Step the schedulers as often as the saved ones, in the order used in training."""
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
    """Return whether the schedules differ in shape, for example in their end, from the saved ones."""
    if not schedulers or not saved:
        return False
    if isinstance(schedulers, Mapping):
        return any(_differ(own, saved[name]) for name, own in schedulers.items())
    pairs = zip(schedulers, saved, strict=True)
    return any(_shape(own, own.state_dict()) != _shape(own, state) for own, state in pairs)


def _shape(scheduler: _ParamScheduler, state: Mapping[str, Any]) -> dict[str, Any]:
    names = {'begin', 'end'} if _follows_metrics(scheduler) else scheduler.state_dict().keys() - _PROGRESS
    return {name: state.get(name) for name in names}


def _follows_metrics(scheduler: _ParamScheduler) -> bool:
    return bool(getattr(scheduler, 'need_val_args', False))
