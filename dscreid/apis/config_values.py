"""Check the values of a config's top-level keys before they are used."""

import inspect
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dscreid.engine.common_settings import walk
from dscreid.errors import ConfigError


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
            f'{place} is {name}, which the config file defines; define it in a module, register it, and import the '
            "module with custom_imports=dict(imports=['my_module'])"
        )
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        value = value.item()
    finite = not isinstance(value, float) or math.isfinite(value)
    if value is None or (isinstance(value, (bool, int, float, str)) and finite):
        return value
    raise ConfigError(
        f'{place} is {_shown(value)}, which cannot be written to a config file; give a finite number, a string, None, '
        'or a list, tuple or dict of these'
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
