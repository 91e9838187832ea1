"""Check that a checkpoint's training state, apart from the weights, fits the run that resumes from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch import Tensor

from dscreid.engine.schedule_extension import why_not_recomputable
from dscreid.errors import CheckpointError, DamagedStateError
from dscreid.utils.checkpoint import meta_of
from dscreid.utils.records import is_number

_HUB = ('log_scalars', 'runtime_info', 'resumed_keys')


class _Fault(Exception):
    """A fault in a part of a checkpoint."""


def check_training_state(runner: Runner, path: Path, content: Mapping[str, Any]) -> None:
    """Check that a run can resume from the training state of the checkpoint in ``path``, whose content is given.

    Raises:
        DamagedStateError: If the state of the optimizer, the schedules or the hooks is damaged.
        CheckpointError: If the schedules have another end and cannot be recomputed.
    """
    if (fault := training_state_fault(runner, content)) is not None:
        raise DamagedStateError(
            f'{path}: cannot be resumed, because its training state is damaged or of another config ({fault}).'
        )
    reason = why_not_recomputable(runner.param_schedulers, content.get('param_schedulers'))
    if reason is not None:
        raise CheckpointError(
            f'{path}: its schedules end at another epoch, and {reason} cannot be recomputed; resume with the '
            'train_cfg.max_epochs of the run, or choose another --work-dir'
        )


def training_state_fault(runner: Runner, content: Mapping[str, Any]) -> str | None:
    """Describe the first part of a checkpoint that a run cannot resume from; None if there is no fault.

    MMEngine would continue without a missing optimizer or schedule, accept moments of any shape, and fail with a
    traceback on other faults. ``check_resumable`` checks the weights and the seed.

    Args:
        runner: A runner whose optimizer and schedules are built. Only its hooks change, by reading their state.
        content: The checkpoint.
    """
    checks = {
        'meta': lambda: _check_progress(meta_of(content)),
        'message_hub': lambda: _check_hub(content.get('message_hub')),
        'optimizer': lambda: _check_optimizer(
            runner.optim_wrapper, content.get('optimizer'), begun=content['meta']['iter'] > 0
        ),
        'param_schedulers': lambda: _check_schedules(runner.param_schedulers, content.get('param_schedulers')),
        'state of hooks': lambda: _check_hooks(runner, dict(content)),
    }
    for part, check in checks.items():
        try:
            check()
        except (_Fault, CheckpointError) as fault:
            return f'{part}: {fault}'
        except Exception as error:  # unexpected types or nesting may fail anywhere
            reason = ' '.join(str(error).split())[:100]
            return f'{part}: it cannot be read ({type(error).__name__}: {reason})'
    return None


def _check_progress(meta: Mapping) -> None:
    for key in ('epoch', 'iter'):
        _expect(type(meta.get(key)) is int and meta[key] >= 0, f'its {key} is not a number of {key}s')


def _check_hub(hub: Any) -> None:
    _expect(isinstance(hub, Mapping), f'it is {_kind(hub)}, not a dict')
    for key in _HUB:
        _expect(isinstance(hub.get(key), Mapping), f'{key} is {_kind(hub.get(key))}, not a dict')
    for name, value in hub['log_scalars'].items():
        _expect(isinstance(value, HistoryBuffer), f'the history {name!r} is {_kind(value)}')
        history, counts = value.data
        _expect(len(history) == len(counts), f'the history {name!r} has values and counts of two lengths')


def _check_optimizer(wrapper: Any, state: Any, begun: bool) -> None:
    _expect(isinstance(state, Mapping), f'it is {_kind(state)}, not a dict')
    saved, own = state.get('param_groups'), wrapper.optimizer.param_groups
    moments = state.get('state')
    _expect(isinstance(saved, list) and isinstance(moments, Mapping), 'it holds no groups and moments')
    _expect(len(saved) == len(own), f'it has {len(saved)} parameter groups, not {len(own)}')
    weights: dict[Any, Tensor] = {}
    for group, expected in zip(saved, own, strict=True):
        _check_kinds(group, {key: value for key, value in expected.items() if key != 'params'}, 'a group')
        numbers = group.get('params')
        _expect(isinstance(numbers, list), 'a group names no parameters')
        counts = len(numbers), len(expected['params'])
        _expect(counts[0] == counts[1], f'a group has {counts[0]} parameters, not {counts[1]}')
        weights |= dict(zip(numbers, expected['params'], strict=True))
    learns_by_moments = any('betas' in group for group in own)  # Adam and its relatives
    _expect(bool(moments) or not (begun and learns_by_moments), 'its moments are missing')
    _check_moments(moments, weights)


def _check_moments(moments: Mapping, weights: Mapping[Any, Tensor]) -> None:
    """Check that all trainable weights have moments of the same names, or none before the first step."""
    _expect(moments.keys() <= weights.keys(), 'it has moments of parameters that are in no group')
    learning = [number for number, weight in weights.items() if weight.requires_grad]
    lost = [number for number in learning if number not in moments]
    _expect(not moments or not lost, f'the moments of {len(lost)} of {len(learning)} weights are missing')
    names = {frozenset(values) for values in moments.values()}
    _expect(len(names) <= 1, 'the moments differ in their names')
    for number, values in moments.items():
        for name, value in values.items():
            _check_moment(name, value, weights[number])


def _check_moment(name: str, value: Any, weight: Tensor) -> None:
    """Check that a moment has the shape of its weight, or is a single number such as a step count."""
    if isinstance(value, Tensor):
        fits = value.shape == weight.shape or value.numel() == 1
        _expect(fits, f'{name} has shape {tuple(value.shape)}, not {tuple(weight.shape)}')
        _expect(bool(torch.isfinite(value).all()), f'{name} is not finite')
    else:
        _expect(value is None or isinstance(value, (int, float)), f'{name} is {_kind(value)}')


def _check_schedules(schedulers: Any, state: Any) -> None:
    if schedulers is None:
        return
    if isinstance(schedulers, Mapping):  # of several optimizers
        _expect(isinstance(state, Mapping) and state.keys() == schedulers.keys(), 'their names differ')
        for name, own in schedulers.items():
            _check_schedules(own, state[name])
        return
    _expect(isinstance(state, list), f'they are {_kind(state)}, not a list')
    _expect(len(state) == len(schedulers), f'there are {len(state)} of them, not {len(schedulers)}')
    for saved, scheduler in zip(state, schedulers, strict=True):
        _check_kinds(saved, scheduler.state_dict(), type(scheduler).__name__)


def _check_hooks(runner: Runner, content: dict) -> None:
    """Let this package's hooks read their entries, as on resuming; other hooks may not be ready yet."""
    for hook in runner.hooks:
        if type(hook).__module__.startswith('dscreid.'):
            hook.after_load_checkpoint(runner, checkpoint=content)


def _check_kinds(saved: Any, expected: Mapping[str, Any], owner: str) -> None:
    """Check that a dict has the keys of another, with values of the same kinds."""
    _expect(isinstance(saved, Mapping), f'{owner} is {_kind(saved)}, not a dict')
    for key, value in expected.items():
        _expect(key in saved, f'{owner} has no {key!r}')
        alike = is_number(saved[key]) if is_number(value) else isinstance(saved[key], type(value))
        _expect(
            alike or value is None or saved[key] is None,
            f'{key!r} of {owner} is {_kind(saved[key])}, not {_kind(value)}',
        )
        if isinstance(value, (list, tuple)) and alike:
            _expect(len(value) == len(saved[key]), f'{key!r} of {owner} has another length')
            _expect(
                all(map(is_number, saved[key])) or not all(map(is_number, value)),
                f'{key!r} of {owner} holds no numbers',
            )


def _kind(value: Any) -> str:
    return 'missing' if value is None else f'of type {type(value).__name__}'


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise _Fault(otherwise)
