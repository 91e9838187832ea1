"""Check that a checkpoint's training state, apart from the weights, fits the run that resumes from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch import Tensor

from dscreid.engine.schedule import why_not_recomputable
from dscreid.errors import CheckpointError, DamagedStateError
from dscreid.utils.checkpoint import meta_of
from dscreid.utils.records import is_number

#: The parts of MMEngine's message hub.
_HUB: dict[str, dict] = {'log_scalars': {}, 'runtime_info': {}, 'resumed_keys': {}}


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
    if (reason := why_not_recomputable(runner.param_schedulers, content.get('param_schedulers'))) is not None:
        raise CheckpointError(
            f'{path}: its schedules end at another epoch, and {reason} cannot be recomputed; resume with the '
            'train_cfg.max_epochs of the run, or choose another --work-dir'
        )


def training_state_fault(runner: Runner, content: Mapping[str, Any]) -> str | None:
    """Describe the first part of a checkpoint that a run cannot resume from; None if there is no fault.

    MMEngine would continue without a missing optimizer or schedule, accept moments of any shape, and fail with a
    traceback on other faults. The runner's optimizer and schedules must be built; its hooks read their state.
    """
    checks = {
        'meta': lambda: _check_progress(meta_of(content)),
        'message_hub': lambda: _check_hub(content.get('message_hub')),
        'optimizer': lambda: _check_optimizer(runner, content.get('optimizer'), begun=content['meta']['iter'] > 0),
        'param_schedulers': lambda: _check_schedules(runner.param_schedulers, content.get('param_schedulers')),
        'state of hooks': lambda: _check_hooks(runner, dict(content)),
    }
    for part, check in checks.items():
        try:
            check()
        except CheckpointError as fault:
            return f'{part}: {fault}'
        except Exception as error:  # unexpected types or nesting may fail anywhere
            reason = ' '.join(str(error).split())[:100]
            return f'{part}: it cannot be read ({type(error).__name__}: {reason})'
    return None


def _check_progress(meta: Mapping) -> None:
    for key in ('epoch', 'iter'):
        _expect(type(meta.get(key)) is int and meta[key] >= 0, f'its {key} is not a number of {key}s')


def _check_hub(hub: Any) -> None:
    _check_alike(hub, _HUB)
    for name, value in hub['log_scalars'].items():
        _expect(isinstance(value, HistoryBuffer), f'the history {name!r} is {_kind(value)}')
        history, counts = value.data
        _expect(len(history) == len(counts), f'the history {name!r} has values and counts of two lengths')


def _check_optimizer(runner: Runner, state: Any, begun: bool) -> None:
    """Check groups and moments: all trainable weights have moments of the same names, or none before the first step."""
    optimizer = runner.optim_wrapper.optimizer
    _check_alike(state, {'param_groups': optimizer.state_dict()['param_groups'], 'state': {}})
    weights = dict(enumerate(weight for group in optimizer.param_groups for weight in group['params']))
    moments = state['state']
    _expect(moments.keys() <= weights.keys(), 'it has moments of parameters that are in no group')
    learns_by_moments = any('betas' in group for group in optimizer.param_groups)  # Adam and its relatives
    _expect(bool(moments) or not (begun and learns_by_moments), 'its moments are missing')
    learning = [number for number, weight in weights.items() if weight.requires_grad]
    lost = [number for number in learning if number not in moments]
    _expect(not moments or not lost, f'the moments of {len(lost)} of {len(learning)} weights are missing')
    _expect(len(set(map(frozenset, moments.values()))) <= 1, 'the moments differ in their names')
    for number, values in moments.items():
        for name, value in values.items():
            _check_moment(name, value, weights[number])


def _check_moment(name: str, value: Any, weight: Tensor) -> None:
    """Check that a moment has the shape of its weight, or is a single number such as a step count."""
    if isinstance(value, Tensor):
        fits = value.shape == weight.shape or value.numel() == 1
        _expect(fits, f'{name} has shape {tuple(value.shape)}, not {tuple(weight.shape)}')
        _expect(bool(value.isfinite().all()), f'{name} is not finite')
    else:
        _expect(value is None or is_number(value), f'{name} is {_kind(value)}')


def _check_schedules(schedulers: Any, state: Any) -> None:
    if isinstance(schedulers, Mapping):  # of several optimizers
        _check_alike(state, {name: [own.state_dict() for own in part] for name, part in schedulers.items()})
    elif schedulers is not None:
        _check_alike(state, [own.state_dict() for own in schedulers])


def _check_hooks(runner: Runner, content: dict) -> None:
    """Let this package's hooks read their entries, as on resuming; other hooks may not be ready yet."""
    for hook in runner.hooks:
        if type(hook).__module__.startswith('dscreid.'):
            hook.after_load_checkpoint(runner, checkpoint=content)


def _check_alike(saved: Any, own: Any, place: str = 'it') -> None:
    """Check that a saved value has the keys, lengths and kinds of the run's own; None may stand for a plain value."""
    kind = next((kind for kind in (Mapping, (list, tuple)) if isinstance(own, kind)), None)
    if kind is None:
        alike = own is None or saved is None or (is_number(saved) if is_number(own) else isinstance(saved, type(own)))
        _expect(alike, f'{place} is {_kind(saved)}, not {_kind(own)}')
        return
    _expect(isinstance(saved, kind), f'{place} is {_kind(saved)}, not {_kind(own)}')
    if kind is not Mapping:
        _expect(len(saved) == len(own), f'{place} has length {len(saved)}, not {len(own)}')
        saved, own = dict(enumerate(saved)), dict(enumerate(own))
    for key, value in own.items():
        inside = f'{place}.{key}'.removeprefix('it.')
        _expect(key in saved, f'{inside} is missing')
        _check_alike(saved[key], value, inside)


def _kind(value: Any) -> str:
    return 'missing' if value is None else f'of type {type(value).__name__}'


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise CheckpointError(otherwise)
