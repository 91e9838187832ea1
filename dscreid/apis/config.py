"""Read a config, apply command-line overrides, and adapt it to the machine."""

import hashlib
import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from mmengine import Config
from mmengine.logging import print_log

from dscreid.apis.config_check import check_config, keys_that_are_read, make_plain
from dscreid.apis.config_files import check_common_settings, check_helpers, check_overrides, load_file, source_path
from dscreid.engine.common_settings import COMMON_SETTINGS, fill_common_settings, walk, without_common_settings
from dscreid.errors import ConfigError
from dscreid.utils.quantities import size_text
from dscreid.utils.shipped import chosen_direction, find_config, has_directions, split_direction

#: Top-level keys that control where and how a run is executed, logged and tested, but not what it learns.
#: Common settings are covered by the parts that take them.
_EXECUTION_KEYS = (
    *COMMON_SETTINGS,
    'direction', 'work_dir', 'launcher', 'resume', 'load_from', 'source', 'experiment_name', 'env_cfg',
    'visualizer', 'log_processor', 'log_level',
    'val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader', 'test_evaluator',
)  # fmt: skip
#: The same at any depth: folder, machine, precision, logging and test intervals. ``random_state`` is included
#: because nothing in this package draws from the generators that it seeds.
_EXECUTION_SETTINGS = {
    'root', 'num_workers', 'persistent_workers', 'pin_memory', 'backend', 'dtype', 'loss_scale', 'val_interval',
    'logger', 'checkpoint', 'timer', 'runtime_info', 'evaluation_progress', 'speed', 'initial_checkpoint',
    'random_state', 'guard', 'bad_frames', 'fused', 'processes', 'with_cp', 'shared',
}  # fmt: skip
#: Optimizers with a fused step, and the options that select how a step is computed.
_FUSED, _STEP_KINDS = ('Adam', 'AdamW'), {'fused', 'foreach', 'capturable', 'differentiable'}
#: Where the kernel keeps the batches that loader workers pass on; Docker gives a container 64 MB by default.
_SHARED_MEMORY = Path('/dev/shm')
#: Bytes for each worker: two batches of 128 tracklets of six frames of 288x144 pixels, and queues.
_WORKER_BYTES = 192 * 2**20


def load_config(path: str | Path, options: dict[str, Any] | None = None, *, of_finished_run: bool = False) -> Config:
    """Read and check a config file.

    Args:
        path: A config, or the short name of a shipped one, such as ``dsc/dsc_bupt2hitsz``.
        options: Overrides by dotted key.
        of_finished_run: Whether the config is only needed to read results; it may be of an older version then.

    Returns:
        The config without helper variables. Common settings (``data_root``, ``clustering``, …) are copied into the
        parts that do not set them themselves, and a relative ``source.config`` is made absolute.

    Raises:
        ConfigError: If the file cannot be read, an unknown type or key is named, or a setting would have no effect.
    """
    options, path = options or {}, find_config(path)
    file, direction = split_direction(path)
    with chosen_direction(direction):
        config = _read(file, path, direction)
        if not of_finished_run:
            check_helpers(config.to_dict(), file)
            check_overrides(config.to_dict(), options)
        _merge(config, options)
        for helper in config._cfg_dict.keys() - {*keys_that_are_read()}:
            del config._cfg_dict[helper]
        if not of_finished_run:
            make_plain(config._cfg_dict, path.name)
            check_config(config.to_dict(), path.name)
        fill_common_settings(config._cfg_dict)
        if of_finished_run:
            return config
        check_common_settings(config._cfg_dict, file, options)
        used = without_common_settings(config._cfg_dict)
        for key in config._cfg_dict.keys() & COMMON_SETTINGS:
            del config._cfg_dict[key]
        # others, for example of replaced parts, would be refused when the config in a run's folder is read
        config.merge_from_dict({key: used[key] for key in COMMON_SETTINGS if key in used})
        if config.get('source') is not None:
            source = source_path(file, config.source, bool({'source', 'source.config'} & options.keys()))
            if has_directions(source) and config.get('direction') is not None:
                source = source.with_name(f'{source.stem}_{config.direction}{source.suffix}')
            config.source.config = str(source)
    return config


def _read(path: Path, name: Path | None = None, direction: str | None = None) -> Config:
    try:
        config = load_file(path)
        object.__setattr__(config, '_filename', str(name or path))  # names runs and messages
        return config
    except Exception as error:  # a config is a program and may raise anything
        if isinstance(error, KeyError) and error.args == (direction,):
            raise ConfigError(
                f"{name}: the method has no settings for the direction '{direction}'; choose another direction, or add "
                f"'{direction}' to the settings in {path} and its bases"
            ) from error
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise ConfigError(f'{path}: cannot be read as a config: {reason}') from error


def inherited_options(options: dict[str, Any]) -> dict[str, Any]:
    """Select the overrides that also apply to source stages: those that control how a run is executed."""
    return {key: options[key] for key in ('on_bad_frame', 'randomness.deterministic') if key in options}


def options_of_same_data(config: Config, source: Config) -> dict[str, Any]:
    """Return the overrides with which a source stage on the same data set reads the folder and division of a config.

    Empty if the two train on different data sets.
    """
    datasets = [(one.get('train_dataloader') or {}).get('dataset') or {} for one in (config, source)]
    if datasets[0].get('type') != datasets[1].get('type'):
        return {}
    return {key: config.get(key) for key in ('data_root', 'trial', 'test_from') if config.get(key) != source.get(key)}


def fit_to_machine(config: Config, amp: bool = False, shared_memory: int | None = None) -> None:
    """Disable, in place, what this machine cannot do, and log the changes.

    Without a GPU, this is mixed precision, ``pin_memory`` and backends other than ``gloo``; ``num_workers`` is reduced
    to one per 192 MiB of free shared memory. With a GPU, Adam and AdamW use one fused kernel per step, unless the
    config says otherwise. ``amp`` requests bfloat16 mixed precision; ``shared_memory`` is its free bytes, if known.
    """
    has_gpu = torch.cuda.is_available()
    wrapper = config.get('optim_wrapper')
    if wrapper and amp:
        wrapper.type = 'AmpOptimWrapper'
        wrapper.setdefault('dtype', 'bfloat16')
    optimizer = (wrapper or {}).get('optimizer')
    if has_gpu and optimizer and optimizer.get('type') in _FUSED and not _STEP_KINDS & optimizer.keys():
        optimizer.fused = True
    if not has_gpu:
        if wrapper and wrapper.type == 'AmpOptimWrapper':
            print_log('no GPU: training in float32 instead of mixed precision', logger='current')
            wrapper.type = 'OptimWrapper'
            for key in ('dtype', 'loss_scale', 'use_fsdp'):
                wrapper.pop(key, None)
        if config.get('env_cfg') is not None:
            config.env_cfg.setdefault('dist_cfg', {})['backend'] = 'gloo'
    loaders = [node for _, node in walk(config._cfg_dict) if isinstance(node, dict) and 'num_workers' in node]
    if shared_memory is None and _SHARED_MEMORY.is_dir():
        shared_memory = shutil.disk_usage(_SHARED_MEMORY).free
    if shared_memory is not None:
        _reduce_workers(loaders, shared_memory)
    for loader in loaders:
        if loader['num_workers'] == 0:
            loader.pop('persistent_workers', None)
            loader.pop('prefetch_factor', None)
        if not has_gpu:
            loader.pop('pin_memory', None)


def _reduce_workers(loaders: list[dict], shared_memory: int) -> None:
    """Reduce the workers of loaders to those for which the shared memory of a machine's processes is enough."""
    fitting = shared_memory // (_WORKER_BYTES * int(os.environ.get('LOCAL_WORLD_SIZE', 1)))
    excessive = [one for one in loaders if isinstance(one['num_workers'], int) and one['num_workers'] > fitting]
    for loader in excessive:
        loader['num_workers'] = fitting
    if excessive:
        message = (
            f'{_SHARED_MEMORY} has {size_text(shared_memory)} free: num_workers is reduced to {fitting} and loading is '
            'slower; in Docker, start the container with a larger --shm-size'
        )
        print_log(message, logger='current', level=logging.WARNING)


def config_name(config: Config) -> str:
    """Return the file name of a config for messages."""
    return Path(config.filename).name if config.filename else 'config'


def require_keys(config: Config, *names: str) -> None:
    """Raise a ConfigError if a key that a job requires is missing or None."""
    for name in names:
        if config.get(name) is None:
            raise ConfigError(f'{config_name(config)}: {name} is missing; inherit it from a file in configs/_base_')


def config_hash(config: Config) -> str:
    """Return a hash (16 hexadecimal digits) of what a config learns, independent of machine and folder."""
    text = json.dumps(learned_settings(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def learned_settings(config: Config) -> dict[str, Any]:
    """Return the settings of a config that determine what it learns."""
    content = {key: value for key, value in config.to_dict().items() if key not in _EXECUTION_KEYS}
    if isinstance(content.get('optim_wrapper'), dict):
        content['optim_wrapper'].pop('type', None)  # depends on mixed precision
    return _without_execution(content)


def _without_execution(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_execution(node[key]) for key in node if key not in _EXECUTION_SETTINGS}
    return [_without_execution(value) for value in node] if isinstance(node, (list, tuple)) else node


def _merge(config: Config, options: dict[str, Any]) -> None:
    places = {place for place, _ in walk(config._cfg_dict)}
    for key in options:
        for number in re.finditer(r'\.\d+', key):
            if (place := key[: number.start()]) not in places:  # MMEngine would make a dict with this number as a key
                raise ConfigError(
                    f'--cfg-options {key}: there is no list {place}; change what makes it, such as eval_pipeline'
                )
    try:
        config.merge_from_dict(options)
    except (KeyError, TypeError, IndexError, AttributeError, AssertionError) as error:
        raise ConfigError(f'--cfg-options {options}: does not fit the config: {error}') from error
