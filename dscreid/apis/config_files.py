"""The files of a config and its bases, and settings and overrides that would have no effect."""

import ast
import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.logging import MMLogger

from dscreid.apis.config_check import keys_that_are_read
from dscreid.engine.common_settings import COMMON_SETTINGS, common_value, uses_of_common_settings, walk
from dscreid.engine.runner import quiet_console
from dscreid.errors import ConfigError
from dscreid.utils.build_errors import closest
from dscreid.utils.files import existing_file
from dscreid.utils.shipped import split_direction

#: MMEngine's syntax for an environment variable with a default.
_ENVIRONMENT = re.compile(r'\{\{\s*\$(\w+)\s*:\s*([^{}]*?)\s*\}\}')
#: Functions that let a file read its variables without naming them.
_READS_ALL = {'globals', 'locals', 'vars', 'exec', 'eval'}


def load_file(path: Path) -> Config:
    """Load a config and its bases with MMEngine, which may otherwise mistake imports for ``with read_base()``."""
    quiet_console(MMLogger.get_current_instance())
    return Config.fromfile(path, lazy_import=False if base_files(path) else None)


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
    assignments = [node for node in _statements(path) if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign))]
    names = [node for statement in assignments for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return {node.id for node in names if isinstance(node.ctx, ast.Store)} - {'_base_'}


def _statements(path: Path) -> list[ast.stmt]:
    """List the top-level statements of a file; one that is not Python has none."""
    try:
        return ast.parse(path.read_text(encoding='utf-8')).body
    except SyntaxError:  # another format, or {{ variables }} of MMEngine
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
    texts = [ast.unparse(statement) for statement in _statements(path)]
    found = any(re.search(r'\bsource\b.*\bconfig\b', text, re.DOTALL) for text in texts)
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
    for file, name in names_without_effect(path):
        value, bases = config.get(name), base_files(file)
        offers = file != path and not bases  # not every config reads what such a base file defines
        if offers or name in keys_that_are_read() or name.startswith('_') or value is None or callable(value):
            continue
        loaded = (load_file(base).to_dict() for base in bases)
        made = next((base for base in loaded if name in base), {key: config[key] for key in config if key != name})
        raise ConfigError(f'{file.name}: {_without_effect(made, name)}')


def check_overrides(config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise a ConfigError if nothing reads an overridden key, with the keys that hold its value in the config."""
    for option in options:
        key, dot, rest = option.partition('.')
        if key in _SET_BY_RUN:
            raise ConfigError(f'--cfg-options {option}: changes nothing; {_SET_BY_RUN[key]}')
        if key not in keys_that_are_read():
            raise ConfigError(f'--cfg-options {option}: {_without_effect(config, key, f"{dot}{rest}")}')


def check_common_settings(config: dict[str, Any], path: Path, options: Collection[str]) -> None:
    """Raise a ConfigError if a common setting of a file (not inherited) or of the overrides reaches no part.

    The parts of ``config`` are filled in.
    """
    uses = uses_of_common_settings(config)
    # overrides may have replaced the parts that the file's own settings were meant for
    given = {option.partition('.')[0] for option in options} or assigned_names(path)
    for key in filter(given.__contains__, COMMON_SETTINGS):
        parts = config[key] if isinstance(config.get(key), Mapping) else None
        for setting in [key] if parts is None else [f'{key}.{part}' for part in parts]:
            found, value = common_value(config, setting)
            takers = [use for use in uses if use.setting == setting]
            if found and not takers:
                near = closest(setting, sorted({use.setting for use in uses}))
                raise ConfigError(f'{path.name}: no part of this config takes {setting}{near}')
            if found and all(_as_list(use.part.get(use.argument)) != _as_list(value) for use in takers):
                reason = 'changes nothing, because the parts that take it have their own values'
                instead = _instead([use.key for use in takers])
                raise ConfigError(f'{path.name}: {setting}={value!r} {reason}; {instead}')


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _without_effect(config: Mapping[str, Any], key: str, rest: str = '') -> str:
    """Say that nothing reads a key, and which keys hold its value in ``config``, or are named like it, instead."""
    read = keys_that_are_read()
    parts = [part for name in config if name in read for part in walk(config[name], name)]
    if key not in config:
        places = [place for place, _ in parts if place.endswith(f'.{_SYNONYMS.get(key, key)}')]
        return f"nothing reads the key '{key}'" + (f'; {_instead(places)}' if places else closest(key, read))
    found: list[str] = []
    for place, node in parts:
        inside = place.startswith(tuple(f'{outer}.' for outer in found))
        if not inside and _holds(node, place.rpartition('.')[2], key, config[key]):
            found.append(place)
    reason = f"'{key}' changes nothing, because the parts of the config were already made with it"
    return f'{reason}; {_instead([f"{place}{rest}" for place in found])}'


def _instead(places: Sequence[str]) -> str:
    more = f' and {len(places) - _SHOWN} more' if len(places) > _SHOWN else ''
    return f'set these instead: {", ".join(places[:_SHOWN])}{more}' if places else 'no part of the config has its value'


def _holds(node: Any, name: str, key: str, value: Any) -> bool:
    """Guess if a part was built from a variable; integers may be equal by chance, so they must have the same name."""
    if isinstance(value, Mapping):
        return isinstance(node, Mapping) and all(part in node and node[part] == value[part] for part in value)
    comparable = isinstance(value, (float, list, tuple)) or name == key
    return comparable and type(node) is type(value) and node == value
