"""Check optimizer and schedules for invalid numbers and for settings that take effect after the last epoch."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.logging import print_log

from dscreid.errors import ConfigError

#: Ranges that torch and MMEngine do not check, by argument: a description and a test.
_OPTIMIZER = {
    'lr': ('a positive number', lambda value: value > 0),
    'momentum': ('in [0, 1)', lambda value: 0 <= value < 1),
    'dampening': ('in [0, 1]', lambda value: 0 <= value <= 1),
    'eps': ('in (0, 1e-2]', lambda value: 0 < value <= 1e-2),
}
_SCHEDULE = {
    'eta_min_ratio': ('in [0, 1]', lambda value: 0 <= value <= 1),
    'eta_min': ('at least 0', lambda value: value >= 0),
    'gamma': ('in (0, 1]', lambda value: 0 < value <= 1),
    # MMEngine multiplies the last rate: from 0 it never rises
    'start_factor': ('in (0, 1]', lambda value: 0 < value <= 1),
    'end_factor': ('in (0, 1]', lambda value: 0 < value <= 1),
    'begin': ('at least 0', lambda value: value >= 0),
    'milestones': (
        'positive and ascending',
        lambda value: [*value] == sorted({*value}) and min(value, default=1) > 0,
    ),
}
_CLIPPING = {
    'max_norm': ('a positive number', lambda value: value > 0),
    'clip_value': ('a positive number', lambda value: value > 0),
}


def check_schedules(config: Mapping[str, Any], name: str = 'config') -> None:
    """Check the numbers of optimizer, clipping and schedules, and warn about settings that never take effect.

    Args:
        config: A complete config; the kinds of its values have been checked.
        name: Name of the config in messages.

    Raises:
        ConfigError: If a number is out of range.
    """
    wrapper = config.get('optim_wrapper') or {}
    _check(wrapper.get('optimizer'), _OPTIMIZER, f'{name}: optim_wrapper.optimizer')
    _check(wrapper.get('clip_grad'), _CLIPPING, f'{name}: optim_wrapper.clip_grad')
    for key, multiplier in _multipliers(wrapper.get('paramwise_cfg'), 'optim_wrapper.paramwise_cfg'):
        if not _in_range(multiplier, lambda value: value >= 0):
            raise ConfigError(f'{name}: {key} must be at least 0, got {multiplier!r}')
    for place, scheduler in _schedulers(config):
        _check(scheduler, _SCHEDULE, f'{name}: {place}')
    for message in never_happens(config):
        print_log(f'{name}: {message}', logger='current', level=logging.WARNING)


def never_happens(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about settings for epochs after the last one.

    Args:
        config: A complete config.
    """
    epochs = (config.get('train_cfg') or {}).get('max_epochs')
    if epochs is None:
        return
    after = f'the training ends after {epochs} epochs (train_cfg.max_epochs)'
    for place, scheduler in _schedulers(config):
        if not scheduler.get('by_epoch', True):
            continue
        late = [epoch for epoch in scheduler.get('milestones', ()) if epoch >= epochs]
        if late:
            yield f'{place}.milestones {late} are never reached, {after}'
        if scheduler.get('begin', 0) >= epochs:
            yield f'{place} begins at epoch {scheduler["begin"]} and has no effect, {after}'
        if scheduler.get('end', 0) > epochs:
            yield f'{place} is not finished at its end {scheduler["end"]}, {after}'
    for place, begin in _begins(config):
        if begin >= epochs:
            yield f'{place} begins at epoch {begin} and is never used, {after}'


def _schedulers(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = config.get('param_scheduler') or []
    for number, scheduler in enumerate([found] if isinstance(found, Mapping) else found):
        yield f'param_scheduler.{number}', scheduler


def _begins(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the first epochs of labelers and losses."""
    for hook_name, hook in (config.get('default_hooks') or {}).items():
        labelers = (hook or {}).get('labelers')
        for number, labeler in enumerate(labelers if isinstance(labelers, (list, tuple)) else ()):
            if isinstance(labeler, Mapping):
                yield f'default_hooks.{hook_name}.labelers.{number}', labeler.get('begin_epoch', 0)
    losses = config.get('model', {}).get('neighbor_losses')
    for number, loss in enumerate(losses if isinstance(losses, (list, tuple)) else ()):
        if isinstance(loss, Mapping):
            yield f'model.neighbor_losses.{number}', loss.get('begin', 0)
    cross = config.get('model', {}).get('cross_loss')
    if isinstance(cross, Mapping):
        yield 'model.cross_loss', cross.get('begin', 0)


def _multipliers(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items() if isinstance(node, Mapping) else ():
        if str(key).endswith(('lr_mult', 'decay_mult')):
            yield f'{place}.{key}', value
        yield from _multipliers(value, f'{place}.{key}')


def _check(settings: Any, ranges: Mapping[str, tuple[str, Any]], place: str) -> None:
    for key, (words, is_right) in ranges.items():
        value = settings.get(key) if isinstance(settings, Mapping) else None
        if value is not None and not _in_range(value, is_right):
            raise ConfigError(f'{place}.{key} must be {words}, got {value!r}')


def _in_range(value: Any, is_right: Any) -> bool:
    try:
        return not isinstance(value, bool) and bool(is_right(value))
    except TypeError:  # not a number, or not a list of numbers
        return False
