"""Choose by epoch what a config schedules, and recompute schedules if the number of epochs changed."""

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from mmengine.optim import _ParamScheduler
from mmengine.runner import Runner

from dscreid.errors import CheckpointError, ConfigError

Value = TypeVar('Value')
#: Keys of a scheduler's state that record its progress; the other keys define its shape.
_PROGRESS = {'last_step', '_global_step', '_last_value', 'base_values', 'verbose'}


def begins_anew(runner) -> bool:
    """Return whether a run starts from scratch, not after a skipped first epoch."""
    return runner.iter == 0 and runner.epoch == 0


def check_stages(begins: Sequence[int]) -> None:
    """Raise a ConfigError unless stages begin at epoch 0 and in strictly increasing order."""
    if not begins or begins[0] != 0 or any(later <= earlier for earlier, later in pairwise(begins)):
        raise ConfigError(f'stages must begin at epoch 0 and then rise, got begin_epoch={list(begins)}')


def turn_at(epoch: int, begins: Sequence[int], cycles: Sequence[Sequence[Value]]) -> Value:
    """Return the value for a zero-based epoch: the last stage that has begun cycles through its values."""
    begin, cycle = [stage for stage in zip(begins, cycles, strict=True) if stage[0] <= epoch][-1]
    return cycle[(epoch - begin) % len(cycle)]


def check_schedules(path: Path, content: Mapping[str, Any], schedulers: Any) -> None:
    """Raise a CheckpointError if the schedules of a checkpoint end elsewhere and one follows past metrics."""
    followers = [type(own).__name__ for own in schedulers or () if _follows_metrics(own)]
    if followers and _differ(schedulers, content.get('param_schedulers')):
        raise CheckpointError(
            f'{path}: {followers[0]}, which follows the metrics of past epochs, cannot be recomputed for another end; '
            'keep train_cfg.max_epochs'
        )


def recompute_schedules(runner: Runner, content: dict[str, Any]) -> None:
    """Replace a checkpoint's schedules by the runner's if their shapes differ.

    MMEngine restores a schedule with its old end, and computes each value from the previous one. This function steps
    the runner's schedules, which must be new, to the checkpoint's iteration, and changes ``content`` in place.
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
    ends = [state['_global_step'] for state in saved]
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Detected call of `scheduler.step', category=UserWarning)
        iteration = 0
        while any(own._global_step < end for own, end in zip(schedulers, ends, strict=True)):
            iteration += 1
            for own, end in zip(schedulers, ends, strict=True):
                if own._global_step < end and (iteration % epoch_length == 0 or not own.by_epoch):
                    own.step()


def _differ(schedulers: Any, saved: Any) -> bool:
    """Return whether the schedules differ in shape, for example in their end, from the saved ones."""
    return any(
        own.state_dict()[name] != state.get(name)
        for own, state in zip(schedulers or (), saved or (), strict=False)
        for name in (('begin', 'end') if _follows_metrics(own) else own.state_dict().keys() - _PROGRESS)
    )


def _follows_metrics(scheduler: _ParamScheduler) -> bool:
    return bool(getattr(scheduler, 'need_val_args', False))
