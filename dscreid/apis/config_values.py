"""Walk through the values of a config, and check those of its top-level keys before they are used."""

import inspect
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from dscreid.errors import ConfigError

#: The required kind of a value: a description and a test.
_Kind = tuple[str, Callable[[Any], bool]]


def walk(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Yield a config or a part of it, and everything that it contains, parents first, each with its dotted key."""
    yield place, node
    is_list = isinstance(node, (list, tuple))
    children = node.items() if isinstance(node, Mapping) else enumerate(node) if is_list else ()
    for key, child in children:
        yield from walk(child, f'{place}.{key}' if place else str(key))


def _or_none(kind: _Kind) -> _Kind:
    return f'{kind[0]} or None', lambda value: value is None or kind[1](value)


def _are_dicts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(part, Mapping) for part in value)


def _is_whole(value: Any, minimum: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def _is_size(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_whole(part, 1) for part in value)


def _is_log_level(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, str) and isinstance(logging.getLevelName(value), int))


_START_METHODS = ('fork', 'spawn', 'forkserver')
_DICT: _Kind = ('dict(...)', lambda value: isinstance(value, Mapping))
_OPTIONAL_DICT = _or_none(_DICT)
_DICTS = _or_none(('dict(...), a list of them', lambda v: isinstance(v, Mapping) or _are_dicts(v)))
_HOOKS = _or_none(('a list of dict(...)', _are_dicts))
_BOOL: _Kind = ('True or False', lambda value: isinstance(value, bool))
_COUNT: _Kind = ('a whole number of at least 1', lambda value: _is_whole(value, 1))
_SIZE: _Kind = ('a whole number of at least 0', _is_whole)
_SEED = _or_none(('a whole number from 0 to 4294967295', lambda v: _is_whole(v) and v < 2**32))
_PATH = _or_none(('a path', lambda value: isinstance(value, str)))
_CHOICE = _or_none(('a word', lambda value: isinstance(value, str)))
_START_METHOD: _Kind = (f'one of {", ".join(_START_METHODS)}', _START_METHODS.__contains__)
_LOG_LEVEL: _Kind = ('DEBUG, INFO, WARNING, ERROR, CRITICAL or a number', _is_log_level)
_FRAME_SIZE: _Kind = ('(height, width), both whole numbers of at least 1', _is_size)

#: Kinds of values, with the dotted keys that have them. A missing key has its default.
_KEYS: tuple[tuple[_Kind, str], ...] = (
    (_DICT, 'model clustering default_hooks env_cfg env_cfg.dist_cfg randomness'),
    (_OPTIONAL_DICT, 'source visualizer train_dataloader val_dataloader test_dataloader env_cfg.mp_cfg'),
    (_OPTIONAL_DICT, 'train_cfg val_cfg test_cfg optim_wrapper optim_wrapper.optimizer'),
    (_OPTIONAL_DICT, 'val_evaluator test_evaluator'),
    (_DICTS, 'param_scheduler'),
    (_HOOKS, 'eval_pipeline vis_backends custom_hooks'),
    (_BOOL, 'env_cfg.cudnn_benchmark randomness.deterministic randomness.diff_rank_seed'),
    (_COUNT, 'num_frames train_cfg.max_epochs train_cfg.val_interval'),
    (_FRAME_SIZE, 'frame_size'),
    (_SEED, 'randomness.seed'),
    (_PATH, 'source.checkpoint data_root'),
    (_CHOICE, 'on_bad_frame direction'),
    (_START_METHOD, 'env_cfg.mp_cfg.mp_start_method'),
    (_LOG_LEVEL, 'log_level'),
)
#: The same for each loader.
_LOADER_KEYS: tuple[tuple[_Kind, str], ...] = (
    (_DICT, 'dataset sampler'),
    (_COUNT, 'batch_size'),
    (_SIZE, 'num_workers'),
    (_BOOL, 'persistent_workers'),
)


def check_values(config: Mapping[str, Any], name: str = 'config') -> None:
    """Check the values of a complete config's top-level keys; deeper values are checked when they are built.

    Raises:
        ConfigError: If a value has the wrong kind or is out of range.
    """
    kinds = {key: kind for kind, keys in _KEYS for key in keys.split()}
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        kinds |= {f'{loader}.{key}': kind for kind, keys in _LOADER_KEYS for key in keys.split()}
    kinds |= {f'default_hooks.{hook}': _OPTIONAL_DICT for hook in config.get('default_hooks') or ()}
    for key, (words, accepts) in kinds.items():
        *parents, last = key.split('.')
        holder: Any = config
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, Mapping) else None
        if isinstance(holder, Mapping) and last in holder and not accepts(holder[last]):
            raise ConfigError(f'{name}: {key} must be {words}, got {_shown(holder[last])}')


def make_plain(config: dict[str, Any], name: str = 'config') -> None:
    """Convert values computed by a Python file, in place, to values that can be written to a config file.

    Paths become strings, NumPy numbers become Python numbers, and classes under ``type`` become import paths.

    Raises:
        ConfigError: If a value cannot be converted, a number is not finite, or a class cannot be imported.
    """
    for key in list(config):
        config[key] = _plain(config[key], f'{name}: {key}')


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, (str, int)) or (isinstance(key, str) and set(key) & {"'", '\\', '\n'}):
                raise ConfigError(f'{place} has the key {key!r}; keys are strings without quotes and backslashes')
        return {key: _plain(child, f'{place}.{key}') for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(child, f'{place}.{number}') for number, child in enumerate(value))
    if place.endswith('.type') and (inspect.isclass(value) or inspect.isroutine(value)):
        return _import_path(value, place)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f'{place} is {value}; give a finite number')
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ConfigError(
        f'{place} is {_shown(value)}, which cannot be written to a config file; give a number, a string, None, or a '
        'list, tuple or dict of these'
    )


def _import_path(component: Any, place: str) -> str:
    module, name = component.__module__, component.__qualname__
    if getattr(sys.modules.get(module), name, None) is not component:
        raise ConfigError(
            f'{place} is {name}, which the config file defines; define it in a module, register it, and import the '
            "module with custom_imports=dict(imports=['my_module'])"
        )
    return f'{module}.{name}'


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
