"""Check optimizer and schedules for invalid numbers and for settings that take effect after the last epoch."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.logging import print_log

from dscreid.apis.config_values import walk
from dscreid.errors import ConfigError

_Range = tuple[str, Callable[[Any], bool]]
_POSITIVE: _Range = ('a positive number', lambda value: value > 0)
_NOT_NEGATIVE: _Range = ('at least 0', lambda value: value >= 0)
_FACTOR: _Range = ('in (0, 1]', lambda value: 0 < value <= 1)
_SHARE: _Range = ('in [0, 1]', lambda value: 0 <= value <= 1)
#: Ranges that torch and MMEngine do not check, by argument.
_OPTIMIZER: dict[str, _Range] = {
    'lr': _POSITIVE,
    'momentum': ('in [0, 1)', lambda value: 0 <= value < 1),
    'dampening': _SHARE,
    'eps': ('in (0, 1e-2]', lambda value: 0 < value <= 1e-2),
}
_SCHEDULE: dict[str, _Range] = {
    'eta_min_ratio': _SHARE,
    'eta_min': _NOT_NEGATIVE,
    'gamma': _FACTOR,
    'start_factor': _FACTOR,  # MMEngine multiplies the last rate: from 0 it never rises
    'end_factor': _FACTOR,
    'begin': _NOT_NEGATIVE,
    'milestones': ('positive and ascending', lambda value: [0, *value] == sorted({0, *value})),
}
_CLIPPING: dict[str, _Range] = {'max_norm': _POSITIVE, 'clip_value': _POSITIVE}


def check_schedules(config: Mapping[str, Any], name: str = 'config') -> None:
    """Check the numbers of optimizer, clipping and schedules, and warn about settings that never take effect.

    Raises:
        ConfigError: If a number is out of range.
    """
    wrapper = config.get('optim_wrapper') or {}
    _check(wrapper.get('optimizer'), _OPTIMIZER, f'{name}: optim_wrapper.optimizer')
    _check(wrapper.get('clip_grad'), _CLIPPING, f'{name}: optim_wrapper.clip_grad')
    for place, node in walk(wrapper.get('paramwise_cfg'), f'{name}: optim_wrapper.paramwise_cfg'):
        keys = (
            [key for key in node if str(key).endswith(('lr_mult', 'decay_mult'))] if isinstance(node, Mapping) else ()
        )
        _check(node, dict.fromkeys(keys, _NOT_NEGATIVE), place)
    for place, scheduler in _schedulers(config):
        _check(scheduler, _SCHEDULE, f'{name}: {place}')
    for message in never_happens(config):
        print_log(f'{name}: {message}', logger='current', level=logging.WARNING)


def never_happens(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about a config's settings for epochs after the last one."""
    epochs = (config.get('train_cfg') or {}).get('max_epochs')
    if epochs is None:
        return
    after = f'the training ends after {epochs} epochs (train_cfg.max_epochs)'
    for place, scheduler in _schedulers(config):
        if not scheduler.get('by_epoch', True):
            continue
        if late := [epoch for epoch in scheduler.get('milestones', ()) if epoch >= epochs]:
            yield f'{place}.milestones {late} are never reached, {after}'
        if scheduler.get('begin', 0) >= epochs:
            yield f'{place} begins at epoch {scheduler["begin"]} and has no effect, {after}'
        if scheduler.get('end', 0) > epochs:
            yield f'{place} is not finished at its end {scheduler["end"]}, {after}'
    for place, node in walk({key: config.get(key) for key in ('default_hooks', 'model')}):
        key = 'begin_epoch' if re.fullmatch(r'default_hooks\..*\.labelers\.\d+', place) else 'begin'
        begins = key == 'begin_epoch' or re.fullmatch(r'model\.(neighbor_losses\.\d+|cross_loss)', place)
        if begins and isinstance(node, Mapping) and node.get(key, 0) >= epochs:
            yield f'{place} begins at epoch {node[key]} and is never used, {after}'


def _schedulers(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = config.get('param_scheduler') or []
    for number, scheduler in enumerate([found] if isinstance(found, Mapping) else found):
        yield f'param_scheduler.{number}', scheduler


def _check(settings: Any, ranges: Mapping[str, _Range], place: str) -> None:
    for key, (words, is_right) in ranges.items():
        value = settings.get(key) if isinstance(settings, Mapping) else None
        try:
            fits = value is None or (not isinstance(value, bool) and is_right(value))
        except TypeError:  # not a number, or not a list of numbers
            fits = False
        if not fits:
            raise ConfigError(f'{place}.{key} must be {words}, got {value!r}')
