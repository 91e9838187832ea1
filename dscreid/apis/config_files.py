"""The files of a config and its bases, and settings and overrides that would have no effect."""

import ast
import contextlib
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.fileio import load
from mmengine.logging import MMLogger

from dscreid.apis.config_check import keys_that_are_read
from dscreid.apis.config_values import walk
from dscreid.engine.common_settings import COMMON_SETTINGS, common_value, uses_of_common_settings
from dscreid.errors import ConfigError
from dscreid.utils.files import existing_file
from dscreid.utils.shipped import DIRECTION, split_direction
from dscreid.utils.signatures import closest

#: MMEngine's syntax for an environment variable with a default.
_ENVIRONMENT = re.compile(r'\{\{\s*\$(\w+)\s*:\s*([^{}]*?)\s*\}\}')
#: Functions that let a file read its variables without naming them.
_READS_ALL = {'globals', 'locals', 'vars', 'exec', 'eval'}


def _is_wanted(record: logging.LogRecord) -> bool:
    """Drop MMEngine's line about the environment variable with which this package selects a direction."""
    return not record.getMessage().startswith(f'Using env variable `{DIRECTION}` ')


def load_file(path: Path) -> Config:
    """Load a config and its bases with MMEngine, which may otherwise mistake imports for ``with read_base()``."""
    logger = MMLogger.get_current_instance()
    logger.addFilter(_is_wanted)
    try:
        return Config.fromfile(path, lazy_import=False if base_files(path) else None)
    finally:
        logger.removeFilter(_is_wanted)


def base_files(path: Path) -> list[Path]:
    """List the local files that a config names in ``_base_``; raise a ConfigError if one is named with a direction."""
    try:
        names = Config._get_base_files(str(path))
    except SyntaxError:  # {{ variables }} of MMEngine; other mistakes are found when the file is loaded
        return []
    found = []
    for name in names:
        name = _ENVIRONMENT.sub(lambda variable: os.environ.get(variable[1], variable[2]), name)
        file, direction = split_direction((path.parent / name).resolve())
        if direction is not None:
            raise ConfigError(
                f'_base_ names {name}, but {file.name} exists once for all directions; inherit {file.name} and use '
                f'your config as {path.stem}_{direction}'
            )
        found.append(existing_file(file))
    return [file for file in found if file is not None]


def names_without_effect(path: Path, above: frozenset[str] = frozenset()) -> Iterator[tuple[Path, str]]:
    """Yield names that a file of the chain sets but that neither it nor an inheriting file (``above``) reads."""
    names = [node for statement in _statements(path) for node in ast.walk(statement) if isinstance(node, ast.Name)]
    loaded = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    unread = set() if loaded & _READS_ALL else assigned_names(path) - loaded
    yield from ((path, name) for name in sorted(unread - above))
    inherited = re.findall(r'_base_\W{1,3}(\w+)', path.read_text(encoding='utf-8'))
    for base in base_files(path):
        yield from names_without_effect(base, above | {*inherited})


def assigned_names(path: Path) -> set[str]:
    """Return the names that a config file sets itself, without those of its bases."""
    if path.suffix != '.py':
        return {*load(path)} - {'_base_'}
    assignments = [node for node in _statements(path) if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign))]
    names = [node for statement in assignments for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return {node.id for node in names if isinstance(node.ctx, ast.Store)} - {'_base_'}


def _statements(path: Path) -> list[ast.stmt]:
    """List the top-level statements of a file; a file in another language has none."""
    try:
        return ast.parse(path.read_text(encoding='utf-8')).body if path.suffix == '.py' else []
    except SyntaxError:  # {{ variables }} of MMEngine
        return []


def source_path(path: Path, source: Any, on_command_line: bool = False) -> Path:
    """Resolve the config that ``source`` names, relative to the file of the chain that names it.

    If ``on_command_line``, it is relative to the current folder. Raise a ConfigError if it is not another config.
    """
    name = source.get('config') if isinstance(source, dict) else None
    folder = Path.cwd() if on_command_line else (_writer(path) or path).parent
    resolved = None
    with contextlib.suppress(ValueError, RuntimeError, OSError):
        resolved = (folder / str(name)).resolve()
    if not isinstance(name, str) or resolved in (None, path.resolve()):
        form = "dict(config='../source/stp_bupt.py', checkpoint=None)"
        raise ConfigError(f'{path.name}: source must name another config, as {form}')
    return resolved


def _writer(path: Path) -> Path | None:
    """Return the nearest file of the chain that sets ``source.config``."""
    if path.suffix == '.py':
        texts = [ast.unparse(statement) for statement in _statements(path)]
        found = any(re.search(r'\bsource\b.*\bconfig\b', text, re.DOTALL) for text in texts)
    else:
        found = 'config' in (load(path).get('source') or {})
    return path if found else next(filter(None, map(_writer, base_files(path))), None)


#: Keys of MMEngine's Runner that a run sets itself, and the option to use instead.
_SET_BY_RUN = {
    'work_dir': 'use --work-dir',
    'resume': 'use --resume',
    'launcher': 'use --launcher',
    'experiment_name': 'runs are named after their --work-dir',
}
#: Alternative names of settings.
_SYNONYMS = {'learning_rate': 'lr'}
_SHOWN = 6


def check_helpers(config: Mapping[str, Any], path: Path) -> None:
    """Raise a ConfigError if nothing reads a variable of a config's files, with the keys to set instead.

    Parts are built from helper variables, such as ``learning_rate``, when their file is run: an inheriting file sets
    them too late. ``config`` is without overrides; names that begin with an underscore are not checked.
    """
    read = keys_that_are_read()
    for file, name in names_without_effect(path):
        value, bases = config.get(name), base_files(file)
        offers = file != path and not bases  # not every config reads what such a base file defines
        if offers or name in read or name.startswith('_') or value is None or callable(value):
            continue
        made = next((base for base in (load_file(base).to_dict() for base in bases) if name in base), None)
        if made is None:
            raise ConfigError(f"{file.name}: nothing reads the key '{name}'{_meant(config, name, read)}")
        reason = 'changes nothing, because the inherited parts were already made with it'
        raise ConfigError(f"{file.name}: setting '{name}' {reason}; {_instead(_places(made, name, read))}")


def check_overrides(config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise a ConfigError if nothing reads an overridden key, with the keys that hold its value in the config."""
    read = keys_that_are_read()
    for option in options:
        key, dot, rest = option.partition('.')
        if key in _SET_BY_RUN:
            raise ConfigError(f'--cfg-options {option}: changes nothing; {_SET_BY_RUN[key]}')
        if key not in read and key not in config:
            raise ConfigError(f"--cfg-options {option}: nothing reads the key '{key}'{_meant(config, key, read)}")
        if key not in read:
            hint = _instead([f'{place}{dot}{rest}' for place in _places(config, key, read)])
            reason = f"changes nothing, because the parts of the config were already made with '{key}'"
            raise ConfigError(f'--cfg-options {option}: {reason}; {hint}')


def check_common_settings(config: dict[str, Any], path: Path, options: Collection[str]) -> None:
    """Raise a ConfigError if a common setting of a file (not inherited) or of the overrides reaches no part.

    The parts of ``config`` are filled in.
    """
    uses = uses_of_common_settings(config)
    # overrides may have replaced the parts that the file's own settings were meant for
    given = {option.partition('.')[0] for option in options} or assigned_names(path)
    for key in COMMON_SETTINGS:
        if key not in given or config.get(key) is None:
            continue
        settings = [f'{key}.{part}' for part in config[key]] if isinstance(config[key], Mapping) else [key]
        for setting in settings:
            _, value = common_value(config, setting)
            takers = [use for use in uses if use.setting == setting]
            if not takers:
                near = closest(setting, sorted({use.setting for use in uses}))
                raise ConfigError(f'{path.name}: no part of this config takes {setting}{near}')
            if all(_as_list(use.part.get(use.argument)) != _as_list(value) for use in takers):
                reason = 'changes nothing, because the parts that take it have their own values'
                hint = _instead([use.key for use in takers])
                raise ConfigError(f'{path.name}: {setting}={value!r} {reason}; {hint}')


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _instead(places: Sequence[str]) -> str:
    """Suggest keys to set instead of a setting without effect."""
    keys = list(dict.fromkeys(places))
    more = f' and {len(keys) - _SHOWN} more' if len(keys) > _SHOWN else ''
    return f'set these instead: {", ".join(keys[:_SHOWN])}{more}' if keys else 'no part has its value any more'


def _meant(config: Mapping[str, Any], name: str, read: list[str]) -> str:
    """Suggest the same key in a part, or a similar key, for one that nothing reads."""
    name = _SYNONYMS.get(name, name)
    places = [place for place, _ in _parts(config, read) if place.endswith(f'.{name}')]
    return f'; {_instead(places)}' if places else closest(name, read)


def _places(config: Mapping[str, Any], key: str, read: list[str]) -> list[str]:
    """List dotted keys under which the parts of a config hold a variable's value."""
    found: list[str] = []
    for place, node in _parts(config, read):
        inside = place.startswith(tuple(f'{outer}.' for outer in found))
        if not inside and _holds(node, place.rpartition('.')[2], key, config[key]):
            found.append(place)
    return found


def _parts(config: Mapping[str, Any], read: list[str]) -> Iterator[tuple[str, Any]]:
    return (found for name in config if name in read for found in walk(config[name], name))


def _holds(node: Any, name: str, key: str, value: Any) -> bool:
    """Guess if a part was built from a variable; integers may be equal by chance, so they must have the same name."""
    if isinstance(value, Mapping):
        return isinstance(node, Mapping) and all(part in node and node[part] == value[part] for part in value)
    comparable = isinstance(value, (float, list, tuple)) or name == key
    return comparable and type(node) is type(value) and node == value
