"""Check the values of a config's top-level keys before they are used."""

import inspect
import logging
import math
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from dscreid.errors import ConfigError


class _Kind(NamedTuple):
    """The required kind of a value: a description and a test."""

    words: str
    accepts: Callable[[Any], bool]


def _is_dict(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_size(value: Any) -> bool:
    return _is_count(value) or (value == 0 and isinstance(value, int) and not isinstance(value, bool))


def _is_log_level(value: Any) -> bool:
    return _is_size(value) or (isinstance(value, str) and isinstance(logging.getLevelName(value), int))


def _are_dicts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_dict, value))


_DICT = _Kind('dict(...)', _is_dict)
_OPTIONAL_DICT = _Kind('dict(...) or None', lambda value: value is None or _is_dict(value))
_DICTS = _Kind(
    'dict(...), a list of them or None', lambda value: value is None or _is_dict(value) or _are_dicts(value)
)
_HOOKS = _Kind('a list of dict(...) or None', lambda value: value is None or _are_dicts(value))
_BOOL = _Kind('True or False', lambda value: isinstance(value, bool))
_COUNT = _Kind('a whole number of at least 1', _is_count)
_SIZE = _Kind('a whole number of at least 0', _is_size)
_SEED = _Kind(
    'a whole number from 0 to 4294967295 or None',
    lambda value: value is None or (_is_size(value) and value < 2**32),
)
_PATH = _Kind('a path or None', lambda value: value is None or isinstance(value, str))
_START_METHODS = ('fork', 'spawn', 'forkserver')

_FRAME_SIZE = _Kind(
    '(height, width), both whole numbers of at least 1',
    lambda value: isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_count, value)),
)
_CHOICE = _Kind('a word or None', lambda value: value is None or isinstance(value, str))

#: Settings of each loader, also of a hook's loader.
_LOADER_KINDS = {
    'dataset': _DICT,
    'sampler': _DICT,
    'batch_size': _COUNT,
    'num_workers': _SIZE,
    'persistent_workers': _BOOL,
}

#: Kinds by dotted key. A missing key has its default. Parents come before their children.
_KINDS = {
    'model': _DICT,
    'source': _OPTIONAL_DICT,
    'source.checkpoint': _PATH,
    'data_root': _PATH,
    'on_bad_frame': _CHOICE,
    'num_frames': _COUNT,
    'frame_size': _FRAME_SIZE,
    'clustering': _DICT,
    'visualizer': _OPTIONAL_DICT,
    'vis_backends': _HOOKS,
    'train_dataloader': _OPTIONAL_DICT,
    'val_dataloader': _OPTIONAL_DICT,
    'test_dataloader': _OPTIONAL_DICT,
    'train_cfg': _OPTIONAL_DICT,
    'train_cfg.max_epochs': _COUNT,
    'train_cfg.val_interval': _COUNT,
    'val_cfg': _OPTIONAL_DICT,
    'test_cfg': _OPTIONAL_DICT,
    'optim_wrapper': _OPTIONAL_DICT,
    'optim_wrapper.optimizer': _OPTIONAL_DICT,
    'param_scheduler': _DICTS,
    'val_evaluator': _OPTIONAL_DICT,
    'test_evaluator': _OPTIONAL_DICT,
    'default_hooks': _DICT,
    'custom_hooks': _HOOKS,
    'env_cfg': _DICT,
    'env_cfg.cudnn_benchmark': _BOOL,
    'env_cfg.mp_cfg': _OPTIONAL_DICT,
    'env_cfg.mp_cfg.mp_start_method': _Kind(
        f'one of {", ".join(_START_METHODS)}', _START_METHODS.__contains__
    ),
    'env_cfg.dist_cfg': _DICT,
    'randomness': _DICT,
    'randomness.seed': _SEED,
    'randomness.deterministic': _BOOL,
    'randomness.diff_rank_seed': _BOOL,
    'log_level': _Kind('DEBUG, INFO, WARNING, ERROR, CRITICAL or a number', _is_log_level),
}


def check_values(config: Mapping[str, Any], name: str = 'config') -> None:
    """Check the values of a config's top-level keys.

    Deeper values are checked when they are built, by the class that receives them.

    Args:
        config: A complete config, including overrides.
        name: Name of the config in messages.

    Raises:
        ConfigError: If a value has the wrong kind or is out of range; the message gives its key and what it must be.
    """
    for key, kind in _KINDS.items():
        _check(config, key, kind, name)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        _check_loader(config, loader, name)
    for hook in config.get('default_hooks', {}):
        _check(config, f'default_hooks.{hook}', _OPTIONAL_DICT, name)


def make_plain(config: dict[str, Any], name: str = 'config') -> None:
    """Convert values computed by a Python file, in place, to values that a config file can hold.

    Paths become strings, NumPy numbers become Python numbers, and classes under ``type`` become import paths.

    Args:
        config: A complete config.
        name: Name of the config in messages.

    Raises:
        ConfigError: If a value cannot be converted, a number is not finite, or a class cannot be imported.
    """
    for key in list(config):
        config[key] = _plain(config[key], f'{name}: {key}')


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, Mapping):
        _check_keys(value, place)
        return {
            key: _import_path(child, f'{place}.type') if key == 'type' else _plain(child, f'{place}.{key}')
            for key, child in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(child, f'{place}.{number}') for number, child in enumerate(value))
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f'{place} is {value}; give a finite number')
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ConfigError(
        f'{place} is {_shown(value)}, which a config cannot hold; give a number, a string, None, or a list, tuple or '
        'dict of these'
    )


def _check_keys(value: Mapping, place: str) -> None:
    for key in value:
        if not isinstance(key, (str, int)) or (isinstance(key, str) and set(key) & {"'", '\\', '\n'}):
            raise ConfigError(f'{place} has the key {key!r}; keys are strings without quotes and backslashes')


def _import_path(component: Any, place: str) -> Any:
    """Return the import path of a class or function; names and other values of ``type`` are returned unchanged."""
    if not (inspect.isclass(component) or inspect.isroutine(component)):
        return _plain(component, place)
    module, name = component.__module__, component.__qualname__
    try:
        found = getattr(import_module(module), name, None)
    except (ImportError, TypeError, ValueError):
        found = None
    if found is not component:
        raise ConfigError(
            f'{place} is {name}, which the config file defines; define it in a module, register it, and import the '
            "module with custom_imports=dict(imports=['my_module'])"
        )
    return f'{module}.{name}'


def _check_loader(config: Mapping[str, Any], place: str, name: str) -> None:
    for key, kind in _LOADER_KINDS.items():
        _check(config, f'{place}.{key}', kind, name)


def _check(config: Mapping[str, Any], key: str, kind: _Kind, name: str) -> None:
    """Check the value under a dotted key whose parents have been checked; a missing key is valid."""
    *parents, last = key.split('.')
    holder: Any = config
    for parent in parents:
        holder = None if holder is None else holder.get(parent)
    if holder is not None and last in holder and not kind.accepts(holder[last]):
        raise ConfigError(f'{name}: {key} must be {kind.words}, got {_shown(holder[last])}')


def _shown(value: Any, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else f'{text[: most - 3]}...'
