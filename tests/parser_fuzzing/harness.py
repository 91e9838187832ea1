"""Run one parser on one case and hold it to its promise."""

import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from dscreid.datasets import frame_files
from dscreid.errors import DscreidError

#: A parser that takes longer on a file of some kilobytes hangs.
DEADLINE_SECONDS = 5
SECRET = 'outside'


@dataclass(frozen=True)
class Link:
    """A symbolic link in place of a file's bytes; the target is relative to the folder's parent."""

    target: str


@dataclass(frozen=True)
class Parser:
    """What is fuzzed.

    Attributes:
        name: Name in tables.
        cases: Strategy of cases: relative path → bytes or ``Link`` for those files that differ from the valid ones.
        parse: Reads the folder's files; gets the case too.
        errors: What it may raise.
        named: The message must hold one of these words: names of files, mostly.
        prepare: Writes the valid files into an empty folder, once.
        remade: Whether an unusable file is made anew, so that nothing is refused.
    """

    name: str
    cases: SearchStrategy[dict[str, Any]]
    parse: Callable[[Path, dict[str, Any]], object]
    errors: tuple[type[DscreidError], ...]
    named: tuple[str, ...]
    prepare: Callable[[Path], None] = lambda folder: None
    remade: bool = False


@dataclass
class Tally:
    """Outcomes of many cases.

    Attributes:
        parsed: Cases that gave an object.
        refused: Cases by type of error.
        slowest: Seconds of the slowest case.
    """

    parsed: int = 0
    refused: Counter = field(default_factory=Counter)
    slowest: float = 0.0

    @property
    def total(self) -> int:
        """Number of cases."""
        return self.parsed + self.refused.total()


class Workplace:
    """A folder with a parser's valid files, beside another one that no parser may look into."""

    def __init__(self, parser: Parser, top: Path) -> None:
        self.parser = parser
        self.folder = top / 'root'
        self.folder.mkdir()
        (top / SECRET).mkdir()
        for name in ('secret.jpg', 'secret.txt', 'secret.pth'):
            (top / SECRET / name).write_bytes(b'1 1 1 1 1\n')
        parser.prepare(self.folder)
        self._valid = {
            path: path.read_bytes() for path in self.folder.rglob('*') if path.is_file() and not path.is_symlink()
        }

    def run(self, case: dict[str, Any]) -> str | None:
        """Write a case, parse it, and restore the folder.

        Returns:
            Name of the error's type, or None where it was parsed.

        Raises:
            AssertionError: The promise is broken: another exception, a message that does not name the file, or a look
                outside the folder.
        """
        touched = [self._place(name, content) for name, content in case.items()]
        frame_files._real_path.cache_clear()
        try:
            with _watched(self.folder.parent / SECRET):
                self.parser.parse(self.folder, case)
        except self.parser.errors as error:
            message = str(error)
            assert any(word in message for word in self.parser.named), f'names no file: {message!r}'
            assert '\n' not in message, f'several lines: {message!r}'
            return type(error).__name__
        finally:
            for path in touched:
                path.unlink(missing_ok=True)
                if path in self._valid:
                    path.write_bytes(self._valid[path])
        return None

    def _place(self, name: str, content: bytes | Link) -> Path:
        path = self.folder / name
        path.unlink(missing_ok=True)
        if isinstance(content, Link):
            path.symlink_to(self.folder.parent / content.target)
        else:
            path.write_bytes(content)
        return path


def fuzz(parser: Parser, examples: int, derandomize: bool = True, shrink: bool = True) -> Tally:
    """Run a parser on many cases; the first broken promise is raised, shrunk to a small case.

    Args:
        parser: The parser.
        examples: Number of cases.
        derandomize: Whether every call tries the same ones.
        shrink: Whether a failing case is made small before it is raised, which may take minutes.
    """
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix='dscreid_fuzz_') as top:
        workplace = Workplace(parser, Path(top))

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
            report_multiple_bugs=False,
        )
        @given(parser.cases)
        def check(case: dict[str, Any]) -> None:
            start = time.perf_counter()
            outcome = workplace.run(case)
            seconds = time.perf_counter() - start
            assert seconds < DEADLINE_SECONDS, f'{seconds:.1f} s'
            tally.slowest = max(tally.slowest, seconds)
            if outcome is None:
                tally.parsed += 1
            else:
                tally.refused[outcome] += 1

        logging.disable(logging.CRITICAL)
        try:
            check()
        finally:
            logging.disable(logging.NOTSET)
    return tally


_forbidden: list[str] = []
_looked_at: list[str] = []
_hooked = False


def _audit(event: str, arguments: tuple) -> None:
    if _forbidden and event in ('open', 'os.listdir', 'os.scandir') and isinstance(arguments[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if path.startswith(_forbidden[0]):
            _looked_at.append(path)  # raised here, the parser might swallow it


@contextmanager
def _watched(folder: Path) -> Iterator[None]:
    """Having opened a file below ``folder`` is an ``AssertionError``."""
    global _hooked
    if not _hooked:  # a hook stays for the life of the process
        sys.addaudithook(_audit)
        _hooked = True
    _looked_at.clear()
    _forbidden.append(os.path.realpath(folder))
    try:
        yield
    finally:
        _forbidden.clear()
        assert not _looked_at, f'looked outside the root: {_looked_at}'
