"""Find misspelled types and keys, invalid numbers, and settings without effect in a config before a long run."""

import inspect
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmengine.registry import Registry, root
from mmengine.runner import Runner

from dscreid.engine.common_settings import COMMON_SETTINGS, walk
from dscreid.engine.runner import HOOKS_OF_MMENGINE
from dscreid.errors import ConfigError
from dscreid.registry import registered_classes
from dscreid.utils.build_errors import accepted_arguments, closest

#: Keys that are removed from a config before the constructor is called.
_CONSUMED_KEYS = {'type', '_scope_', 'priority', 'begin_epoch'}
#: Packages of MMEngine's logging backends, as named on PyPI; ``WandbVisBackend`` needs ``wandb``.
_BACKEND_PACKAGES = ('tensorboard', 'wandb', 'mlflow', 'clearml', 'neptune', 'dvclive', 'aim')
#: Top-level keys read by MMEngine's ``Config`` or this package, in addition to the arguments of MMEngine's Runner.
_OWN_KEYS = ('source', 'direction', 'custom_imports', 'sync_bn', *COMMON_SETTINGS)


def check_config(config: dict, name: str = 'config') -> None:
    """Check each ``dict(type=...)`` in a config, or in a part of one, against the registered class's signature.

    Raises:
        ConfigError: If a type is not registered, a key is not an argument of one of this package's classes, or the
            value of a top-level key has the wrong kind.
    """
    read: list[str] = []
    if 'type' not in config:
        check_values(config, name)
        _check_hooks(config, name)
        read = keys_that_are_read()
    known = registered_classes()
    for place, node in walk(config):
        if not (isinstance(node, dict) and 'type' in node):
            continue
        component, full_place = node['type'], f'{name}.{place}' if place else name
        if isinstance(component, str):
            component = _find_class(component, known, full_place)
        elif not callable(component) and place.partition('.')[0] in read:
            raise ConfigError(f'{full_place}: type must be the name of a class, got {component!r}')
        if not (isinstance(component, type) and component.__module__.startswith('dscreid')):
            continue
        accepted = accepted_arguments(component)
        for key in node:
            if accepted is not None and key not in (*accepted, *_CONSUMED_KEYS):
                hint = f'{closest(key, accepted)} (it takes {", ".join(accepted) or "none"})'
                raise ConfigError(f"{full_place}: {component.__name__} has no argument '{key}'{hint}")


def keys_that_are_read() -> list[str]:
    """List the top-level keys that MMEngine's Runner or this package reads; all others are helper variables."""
    arguments = inspect.signature(Runner.__init__).parameters.keys() - {'self', 'cfg'}
    return [*sorted(arguments), *_OWN_KEYS]


def _find_class(type_name: str, known: dict[str, Any], place: str) -> Any:
    bare_name, names = type_name.rpartition('.')[2], dict(known)
    if bare_name not in known:
        for registry in vars(root).values():
            if isinstance(registry, Registry):
                registry.import_from_location()
                names |= registry.module_dict
    # the full import path of a third-party class is left to the registry
    is_foreign = '.' in type_name and not type_name.startswith('dscreid.')
    if bare_name not in names and not is_foreign:
        raise ConfigError(f"{place}: type '{type_name}' is not registered{closest(bare_name, names)}")
    return names.get(bare_name)


def _check_hooks(config: dict, name: str) -> None:
    """Refuse settings for a default hook that does not exist: MMEngine would build a hook without a type."""
    hooks = config.get('default_hooks', {})
    known = [*(key for key, hook in hooks.items() if hook is None or 'type' in hook), *HOOKS_OF_MMENGINE]
    for key in hooks:
        if key not in known:
            reason = f"there is no hook '{key}' whose settings {sorted(hooks[key])} could change"
            raise ConfigError(f'{name}.default_hooks: {reason}{closest(key, known)}')


#: Ranges that torch and MMEngine do not check: which keys of optimizer and schedules, a description, and a test.
_RANGES: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    (r'.*\.(optimizer\.lr|clip_grad\.(max_norm|clip_value))', 'a positive number', lambda value: value > 0),
    (r'.*\.(eta_min|begin|paramwise_cfg\..*(lr_mult|decay_mult))', 'at least 0', lambda value: value >= 0),
    (r'.*\.(optimizer\.dampening|eta_min_ratio)', 'in [0, 1]', lambda value: 0 <= value <= 1),
    (r'.*\.optimizer\.momentum', 'in [0, 1)', lambda value: 0 <= value < 1),
    (r'.*\.optimizer\.eps', 'in (0, 1e-2]', lambda value: 0 < value <= 1e-2),
    # MMEngine multiplies the last rate: from a start_factor of 0 it never rises
    (r'.*\.(gamma|start_factor|end_factor)', 'in (0, 1]', lambda value: 0 < value <= 1),
    (r'.*\.milestones', 'positive and ascending', lambda value: [0, *value] == sorted({0, *value})),
)


def check_run(config: Mapping[str, Any], name: str = 'config') -> None:
    """Check what a run needs and reading its config does not, and warn about settings that never take effect.

    Raises:
        ConfigError: If the package of a logging backend is missing, or a number is out of range; no backend is started.
    """
    for backend in (config.get('visualizer') or {}).get('vis_backends') or ():
        backend_name = str(backend.get('type')).rpartition('.')[2]
        package = backend_name.removesuffix('VisBackend').lower()
        if package in _BACKEND_PACKAGES and find_spec(package) is None:
            hint = f'run "pip install {package}" or choose other vis_backends'
            raise ConfigError(f'{name}: {backend_name} in vis_backends needs the package {package}; {hint}')
    for place, value in walk({key: config.get(key) for key in ('optim_wrapper', 'param_scheduler')}):
        for pattern, words, is_right in _RANGES if value is not None else ():
            if not re.fullmatch(pattern, place):
                continue
            try:
                fits = not isinstance(value, bool) and is_right(value)
            except TypeError:  # not a number, or not a list of numbers
                fits = False
            if not fits:
                raise ConfigError(f'{name}: {place} must be {words}, got {value!r}')
    for message in never_happens(config):
        print_log(f'{name}: {message}', logger='current', level=logging.WARNING)


def never_happens(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about settings of a config that apply only after the last epoch."""
    epochs = (config.get('train_cfg') or {}).get('max_epochs')
    if epochs is None:
        return
    after = f'the training ends after {epochs} epochs (train_cfg.max_epochs)'
    for place, part in walk({key: config.get(key) for key in ('param_scheduler', 'default_hooks', 'model')}):
        if not isinstance(part, Mapping):
            continue
        if place.startswith('param_scheduler') and part.get('by_epoch', True):
            if late := [epoch for epoch in part.get('milestones', ()) if epoch >= epochs]:
                yield f'{place}.milestones {late} are never reached, {after}'
            if part.get('begin', 0) >= epochs:
                yield f'{place} begins at epoch {part["begin"]} and has no effect, {after}'
            if part.get('end', 0) > epochs:
                yield f'{place} never reaches its end {part["end"]}, {after}'
        key = 'begin_epoch' if re.fullmatch(r'default_hooks\..*\.labelers\.\d+', place) else 'begin'
        begins = key == 'begin_epoch' or re.fullmatch(r'model\.(neighbor_losses\.\d+|cross_loss|hybrid_loss)', place)
        if begins and part.get(key, 0) >= epochs:
            yield f'{place} begins at epoch {part[key]} and is never used, {after}'


def _is_whole(value: Any, minimum: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def _are_all(test: Callable[[Any], bool], values: Any) -> bool:
    return isinstance(values, (list, tuple)) and all(map(test, values))


def _is_dict(value: Any) -> bool:
    return isinstance(value, Mapping)


#: Kinds of values: a description, a test, and the dotted keys that have them. A missing key has its default.
_KINDS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ('dict(...)', _is_dict, 'model clustering default_hooks env_cfg env_cfg.dist_cfg randomness LOADER.dataset '
     'LOADER.sampler'),
    ('dict(...) or None', _is_dict, 'source visualizer LOADER env_cfg.mp_cfg train_cfg val_cfg test_cfg optim_wrapper '
     'optim_wrapper.optimizer val_evaluator test_evaluator HOOK'),
    ('dict(...), a list of them or None', lambda v: _is_dict(v) or _are_all(_is_dict, v), 'param_scheduler'),
    ('a list of dict(...) or None', lambda v: _are_all(_is_dict, v), 'eval_pipeline vis_backends custom_hooks'),
    ('True or False', lambda v: isinstance(v, bool), 'env_cfg.cudnn_benchmark randomness.deterministic '
     'randomness.diff_rank_seed LOADER.persistent_workers'),
    ('a whole number of at least 1', lambda v: _is_whole(v, 1), 'num_frames train_cfg.max_epochs '
     'train_cfg.val_interval LOADER.batch_size'),
    ('a whole number of at least 0', _is_whole, 'LOADER.num_workers'),
    ('a whole number from 0 to 4294967295 or None', lambda v: _is_whole(v) and v < 2**32, 'randomness.seed'),
    ('(height, width), both whole numbers of at least 1',
     lambda v: _are_all(lambda n: _is_whole(n, 1), v) and len(v) == 2, 'frame_size'),
    ('a path or None', lambda v: isinstance(v, str), 'source.checkpoint data_root'),
    ('a word or None', lambda v: isinstance(v, str), 'on_bad_frame direction'),
    ('one of fork, spawn, forkserver', ('fork', 'spawn', 'forkserver').__contains__, 'env_cfg.mp_cfg.mp_start_method'),
    ('DEBUG, INFO, WARNING, ERROR, CRITICAL or a number',
     lambda v: _is_whole(v) or v in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'), 'log_level'),
)  # fmt: skip


def check_values(config: Mapping[str, Any], name: str = 'config') -> None:
    """Raise a ConfigError if a config's value has the wrong kind; deeper values are checked when they are built."""
    kinds = {key: (words, accepts) for words, accepts, keys in _KINDS for key in keys.split()}
    for key, value in walk(config):
        general = re.sub(r'^(train|val|test)_dataloader\b', 'LOADER', re.sub(r'^default_hooks\.[^.]+$', 'HOOK', key))
        words, accepts = kinds.get(general, ('', lambda _: True))
        if not (accepts(value) or (value is None and words.endswith('or None'))):
            raise ConfigError(f'{name}: {key} must be {words}, got {_shown(value)}')


def make_plain(config: dict[str, Any], name: str = 'config') -> None:
    """Convert values computed by a Python file, in place, to values that can be written to a config file.

    Paths become strings, NumPy numbers Python numbers, and classes under ``type`` import paths. Other objects, and
    numbers that are not finite, raise a ConfigError.
    """
    for key in list(config):
        config[key] = _plain(config[key], f'{name}: {key}')


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(child, f'{place}.{key}') for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(child, f'{place}.{number}') for number, child in enumerate(value))
    if place.endswith('.type') and (inspect.isclass(value) or inspect.isroutine(value)):
        module, name = value.__module__, value.__qualname__
        if getattr(sys.modules.get(module), name, None) is value:
            return f'{module}.{name}'
        raise ConfigError(
            f'{place} is {name}, which the config file defines; import it by custom_imports from a module'
        )
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        value = value.item()
    finite = not isinstance(value, float) or math.isfinite(value)
    if value is None or (isinstance(value, (bool, int, float, str)) and finite):
        return value
    raise ConfigError(
        f'{place} is {_shown(value)}, which cannot be written to a config file; give a finite, plain value'
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
