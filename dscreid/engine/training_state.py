"""Check that a checkpoint's training state, apart from the weights, fits the run that resumes from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch import Tensor
from torch.optim import Optimizer

from dscreid.engine.schedule import why_not_recomputable
from dscreid.errors import CheckpointError, DamagedStateError
from dscreid.utils.records import is_number


def check_training_state(runner: Runner, path: Path, content: Mapping[str, Any]) -> None:
    """Check that a run can resume from the training state of the checkpoint in ``path``, whose content is given.

    Raises:
        DamagedStateError: If the state of the optimizer, the schedules or the hooks is damaged.
        CheckpointError: If the schedules have another end and cannot be recomputed.
    """
    if (fault := training_state_fault(runner, content)) is not None:
        raise DamagedStateError(
            f'{path}: cannot be resumed, its training state is damaged or of another config ({fault}).'
        )
    if (reason := why_not_recomputable(runner.param_schedulers, content.get('param_schedulers'))) is not None:
        raise CheckpointError(f'{path}: {reason} cannot be recomputed for another end; keep train_cfg.max_epochs')


def training_state_fault(runner: Runner, content: Mapping[str, Any]) -> str | None:
    """Describe the first part of a checkpoint that a run cannot resume from; None if there is no fault.

    MMEngine would continue without a missing optimizer or schedule, accept moments of any shape, and fail with a
    traceback on other faults. The runner's optimizer and schedules must be built; its hooks read their state.
    """
    optimizer, schedulers = runner.optim_wrapper.optimizer, runner.param_schedulers
    own: dict[str, Any] = {
        'meta': {'epoch': 0, 'iter': 0},
        'message_hub': {'log_scalars': {}, 'runtime_info': {}, 'resumed_keys': {}},
        'optimizer': {'param_groups': optimizer.state_dict()['param_groups'], 'state': {}},
        'param_schedulers': schedulers and [scheduler.state_dict() for scheduler in schedulers],
    }
    part = ''
    try:
        for part, expected in own.items():
            if expected is not None:
                _check_alike(content.get(part), expected)
        part = 'message_hub'
        histories = content['message_hub']['log_scalars'].values()
        _expect(all(isinstance(value, HistoryBuffer) for value in histories), 'its scalars are not histories')
        part = 'optimizer'
        _check_moments(optimizer, content['optimizer']['state'], begun=content['meta']['iter'] > 0)
        part = 'state of hooks'
        for hook in runner.hooks:
            if type(hook).__module__.startswith('dscreid.'):  # other hooks may not be ready yet
                hook.after_load_checkpoint(runner, checkpoint=dict(content))
    except CheckpointError as fault:
        return f'{part}: {fault}'
    except Exception as error:  # unexpected types or nesting may fail anywhere
        return f'{part}: it cannot be read ({type(error).__name__}: {" ".join(str(error).split())[:100]})'
    return None


def _check_moments(optimizer: Optimizer, moments: Mapping[int, Mapping], begun: bool) -> None:
    """Check that all trainable weights have moments of the same names that fit, or none before the first step."""
    weights = dict(enumerate(weight for group in optimizer.param_groups for weight in group['params']))
    learning = {number for number, weight in weights.items() if weight.requires_grad}
    needed = begun and any('betas' in group for group in optimizer.param_groups)  # by Adam and its relatives
    complete = not (moments or needed) or learning <= moments.keys() <= weights.keys()
    alike = len(set(map(frozenset, moments.values()))) <= 1
    _expect(
        complete and alike,
        f'the moments of {len(moments)} parameters do not fit {len(learning)} weights',
    )
    for number, values in moments.items():
        for name, value in values.items():
            shape = weights[number].shape
            if isinstance(value, Tensor):  # a single number is a step count
                fits = (value.shape == shape or value.numel() == 1) and bool(value.isfinite().all())
            else:
                fits = value is None or is_number(value)
            _expect(fits, f'{name} does not fit a weight of shape {tuple(shape)}, or is not finite')


def _check_alike(saved: Any, own: Any, place: str = '') -> None:
    """Check that a saved value has the keys, lengths and kinds of the run's own; None may stand for a plain value."""
    kind = next((kind for kind in (Mapping, (list, tuple)) if isinstance(own, kind)), None)
    if kind is None:
        alike = own is None or saved is None or (is_number(saved) if is_number(own) else isinstance(saved, type(own)))
    else:
        alike = isinstance(saved, kind) and (kind is Mapping or len(saved) == len(own))
    _expect(alike, f'{place or "it"} is not like that of the run')
    children = own.items() if kind is Mapping else enumerate(own) if kind else ()
    for key, value in children:
        inside = f'{place}.{key}'.removeprefix('.')
        _expect(kind is not Mapping or key in saved, f'{inside} is missing')
        _check_alike(saved[key], value, inside)


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise CheckpointError(otherwise)
