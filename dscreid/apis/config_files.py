"""The files that a config is made of, and the top-level names that each of them sets and reads."""

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

_BASE = '_base_'
#: Functions with which a file can read its variables without naming them.
_READS_ALL = {'globals', 'locals', 'vars', 'exec', 'eval'}


@dataclass(frozen=True)
class ConfigFile:
    """One file of a chain of configs.

    Attributes:
        path: The file.
        bases: The files that it names in ``_base_``.
        assigns: Names that it assigns at its top level.
        unread: Those of them that it does not read itself.
        reads: What it may read from its bases: names after ``_base_.``, and its string constants.
        names_source: Whether it writes ``source.config``.
    """

    path: Path
    bases: tuple['ConfigFile', ...]
    assigns: frozenset[str]
    unread: frozenset[str]
    reads: frozenset[str]
    names_source: bool

    def without_effect(self, above: frozenset[str] = frozenset()) -> Iterator[tuple['ConfigFile', str]]:
        """Names that a file of the chain assigns and that neither it nor a file that inherits from it reads.

        Args:
            above: What the files that inherit from this one read.
        """
        yield from ((self, name) for name in sorted(self.unread - above))
        for base in self.bases:
            yield from base.without_effect(above | self.reads)

    def load(self) -> Config:
        """The merged config, as MMEngine reads it.

        A file that inherits by ``_base_`` may import what it likes; MMEngine takes an import of a package for its other
        style of inheritance, ``with read_base()``.
        """
        return Config.fromfile(self.path, lazy_import=False if self.bases else None)

    def writer_of_source(self) -> Path | None:
        """The nearest file that writes ``source.config``; None if there is none."""
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
    """A file's text with MMEngine's ``{{ variables }}`` replaced; 0 stands for those of a base."""

    def value(match: re.Match) -> str:
        name, _, default = match[1].strip().partition(':')
        if name.startswith('$'):
            return os.environ.get(name[1:].strip(), default.strip())
        return str(path.parent) if name == 'fileDirname' else '0'

    return re.sub(r'\{\{([^{}]*)\}\}', value, path.read_text(encoding='utf-8'))


def _base_value(body: list[ast.stmt]) -> Any:
    """What a Python file assigns to ``_base_``, an expression without variables."""
    for statement in body:
        if _BASE in _assigned(statement):
            return eval(compile(ast.Expression(statement.value), _BASE, 'eval'))
    return []


def _base_files(path: Path, names: str | list[str]) -> tuple[ConfigFile, ...]:
    files = [
        existing_file((path.parent / name).resolve())
        for name in ([names] if isinstance(names, str) else names)
    ]
    # one of an installed package ("mmpretrain::…") is no file here, and writes no source stage of this package
    return tuple(read_files(file) for file in files if file is not None)


def _assigned(statement: ast.stmt) -> Iterator[str]:
    """Names that a top-level statement assigns plainly; loop variables and the like are no settings."""
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
    """Whether a statement changes ``source`` and names the key ``config`` in doing so."""
    if 'source' not in {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}:
        return False
    words = {node.arg for node in ast.walk(statement) if isinstance(node, ast.keyword)}
    words |= {node.value for node in ast.walk(statement) if isinstance(node, ast.Constant)}
    words |= {node.attr for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
    return 'config' in words


def source_path(files: ConfigFile, source: Any, on_command_line: bool = False) -> Path:
    """The config of a source stage, relative to the file that names it.

    Args:
        files: The config that builds upon it, with its bases.
        source: ``dict(config=..., checkpoint=...)``.
        on_command_line: Whether the name was given there, where paths are relative to the current folder.

    Raises:
        ConfigError: ``source`` names no other config.
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
