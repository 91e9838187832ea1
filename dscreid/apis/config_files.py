"""The files of a config and its bases: which one names the source stage, and which names they set in vain."""

import ast
import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.fileio import load
from mmengine.logging import MMLogger

from dscreid.errors import ConfigError
from dscreid.utils.files import existing_file
from dscreid.utils.shipped import DIRECTION, split_direction

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
    """List the local files that a config names in ``_base_``, without those of installed packages.

    Raises:
        ConfigError: If a base exists once for all directions but is named with one.
    """
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

    If ``on_command_line``, it is relative to the current folder.

    Raises:
        ConfigError: If ``source`` does not name another config.
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
