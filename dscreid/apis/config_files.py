"""The files of a config and its bases, with the top-level names that each of them assigns and reads."""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.fileio import load

from dscreid.errors import ConfigError
from dscreid.utils.files import existing_file
from dscreid.utils.shipped import split_direction

_BASE = '_base_'
#: Functions that let a file read its variables without naming them.
_READS_ALL = {'globals', 'locals', 'vars', 'exec', 'eval'}


@dataclass(frozen=True)
class ConfigFile:
    """A config file with its bases.

    Attributes:
        path: The file.
        bases: The files that it names in ``_base_``.
        assigns: Names that it assigns at its top level.
        unread: The subset of ``assigns`` that it does not read itself.
        reads: What it may read from its bases: names after ``_base_.``, and its string constants.
        names_source: Whether it sets ``source.config``.
    """

    path: Path
    bases: tuple['ConfigFile', ...]
    assigns: frozenset[str]
    unread: frozenset[str]
    reads: frozenset[str]
    names_source: bool

    def without_effect(self, above: frozenset[str] = frozenset()) -> Iterator[tuple['ConfigFile', str]]:
        """Yield names that a file of the chain assigns but that neither it nor an inheriting file reads.

        Args:
            above: Names read by the files that inherit from this one.
        """
        yield from ((self, name) for name in sorted(self.unread - above))
        for base in self.bases:
            yield from base.without_effect(above | self.reads)

    def load(self) -> Config:
        """Load the merged config with MMEngine.

        A file that inherits through ``_base_`` may import anything. By default, MMEngine mistakes the import of a
        package for its other style of inheritance, ``with read_base()``.
        """
        return Config.fromfile(self.path, lazy_import=False if self.bases else None)

    def writer_of_source(self) -> Path | None:
        """Return the nearest file that sets ``source.config``, or None if no file does."""
        if self.names_source:
            return self.path
        return next((found for base in self.bases if (found := base.writer_of_source()) is not None), None)


def read_files(path: Path) -> ConfigFile:
    """Read a config file and those it inherits from, without running them.

    Args:
        path: A config that MMEngine can load.

    Returns:
        The file and its bases.
    """
    text = _substituted(path)
    inherited = set(re.findall(r'_base_\s*\.\s*(\w+)', path.read_text(encoding='utf-8')))
    if path.suffix != '.py':
        content = load(path)
        source = content.get('source')
        keys = frozenset(content) - {_BASE}
        names_source = isinstance(source, dict) and 'config' in source
        bases = _base_files(path, content.get(_BASE, []))
        return ConfigFile(path, bases, keys, keys, frozenset(inherited), names_source)
    body = ast.parse(text).body
    assigned = frozenset(name for statement in body for name in _assigned(statement))
    nodes = [node for statement in body for node in ast.walk(statement)]
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    inherited |= {
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return ConfigFile(
        path=path,
        bases=_base_files(path, _base_value(body)),
        assigns=assigned - {_BASE},
        unread=frozenset() if own & _READS_ALL else assigned - own - {_BASE},
        reads=frozenset(inherited),
        names_source=any(map(_writes_source, body)),
    )


def _substituted(path: Path) -> str:
    """Return a file's text with MMEngine's ``{{ variables }}`` replaced; variables of a base become 0."""

    def value(match: re.Match) -> str:
        name, _, default = match[1].strip().partition(':')
        if name.startswith('$'):
            return os.environ.get(name[1:].strip(), default.strip())
        return str(path.parent) if name == 'fileDirname' else '0'

    return re.sub(r'\{\{([^{}]*)\}\}', value, path.read_text(encoding='utf-8'))


def _base_value(body: list[ast.stmt]) -> Any:
    """Evaluate what a Python file assigns to ``_base_``, an expression without variables."""
    for statement in body:
        if _BASE in _assigned(statement):
            return eval(compile(ast.Expression(statement.value), _BASE, 'eval'))
    return []


def _base_files(path: Path, names: str | list[str]) -> tuple[ConfigFile, ...]:
    paths = [(path.parent / name).resolve() for name in ([names] if isinstance(names, str) else names)]
    for base in paths:
        file, direction = split_direction(base)
        if direction is not None:
            raise ConfigError(
                f'_base_ names {base.name}, but {file.name} exists once for all directions; inherit {file.name} and '
                f'use your config as {path.stem}_{direction}'
            )
    files = [existing_file(base) for base in paths]
    # a base from an installed package ("mmpretrain::…") is not a local file and sets no source stage of this
    # package
    return tuple(read_files(file) for file in files if file is not None)


def _assigned(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a top-level statement assigns directly; loop variables and the like are not settings."""
    if isinstance(statement, ast.Assign):
        targets: list[ast.expr] = statement.targets
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
    else:
        targets = []
    for target in targets:
        elements = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
        yield from (element.id for element in elements if isinstance(element, ast.Name))


def _writes_source(statement: ast.stmt) -> bool:
    """Check if a statement changes ``source`` and mentions the key ``config``."""
    if 'source' not in {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}:
        return False
    words = {node.arg for node in ast.walk(statement) if isinstance(node, ast.keyword)}
    words |= {node.value for node in ast.walk(statement) if isinstance(node, ast.Constant)}
    words |= {node.attr for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
    return 'config' in words


def source_path(files: ConfigFile, source: Any, on_command_line: bool = False) -> Path:
    """Resolve the config of a source stage, relative to the file that names it.

    Args:
        files: The config that builds on the source stage, with its bases.
        source: ``dict(config=..., checkpoint=...)``.
        on_command_line: Whether the name was given on the command line, where paths are relative to the current folder.

    Raises:
        ConfigError: If ``source`` does not name another config.
    """
    name = source.get('config') if isinstance(source, dict) else None
    folder = Path.cwd() if on_command_line else (files.writer_of_source() or files.path).parent
    try:
        resolved = (folder / name).resolve()
    except (TypeError, ValueError, RuntimeError, OSError):
        resolved = None
    if resolved is None or resolved == files.path.resolve():
        raise ConfigError(
            f"{files.path.name}: source must name another config, as dict(config='../source/stp_bupt.py', "
            'checkpoint=None)'
        )
    return resolved
