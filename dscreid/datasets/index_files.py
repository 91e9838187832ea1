"""Read index files; error messages give file, line and how to fix the error."""

import errno
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dscreid.datasets.frame_files import path_inside
from dscreid.errors import DatasetError, MissingFileError

Parsed = TypeVar('Parsed')

RESTORE = 'restore the file from the dataset archive'
_INTEGER = re.compile(r'-?[0-9]{1,18}')
#: Control characters and lone surrogates: not used in file names of datasets, and terminals interpret some of them.
_UNPRINTABLE = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff]')


def index_file(root: Path, name: str) -> Path:
    """Path of the index file ``name`` below a dataset's root; raises DatasetError if a link leads outside it."""
    return Path(path_inside(root, name))


def read_text(path: Path) -> str:
    """Read an index file in UTF-8, with or without a byte order mark; raises DatasetError."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
            raise OSError(errno.EINVAL, 'no regular file')
        return path.read_text(encoding='utf-8-sig')
    except FileNotFoundError:
        raise MissingFileError(f'{path}: the index file is missing; {RESTORE}') from None
    except UnicodeDecodeError as error:
        raise DatasetError(f'{path}: not a UTF-8 text file (byte {error.start}); {RESTORE}') from None
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error.strerror}); check its permissions') from None


def read_lines(path: Path) -> list[str]:
    """Read the stripped lines of a UTF-8 index file without trailing blank ones; raises DatasetError."""
    lines = [line.strip() for line in read_text(path).rstrip().split('\n')]
    if lines == ['']:
        raise DatasetError(f'{path}: the index file is empty; {RESTORE}')
    return lines


def parse_lines(path: Path, parse: Callable[[str], Parsed]) -> list[Parsed]:
    """Apply ``parse`` to each line of an index file; its ValueErrors become DatasetErrors that name file and line."""
    parsed = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            parsed.append(parse(line))
        except ValueError as error:
            raise DatasetError(f'{path}:{number}: {error}') from None
    return parsed


def parse_integer(text: str) -> int:
    """Parse decimal ASCII digits with an optional minus sign, at most 18 digits; raises ValueError."""
    if _INTEGER.fullmatch(text) is None:
        raise ValueError(f'{text[:40]!r} is not an integer')
    return int(text)


def read_json(path: Path) -> Any:
    """Read a JSON file; raises DatasetError if it is missing or cannot be parsed."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DatasetError(f'{path}:{error.lineno}: not valid JSON ({error.msg}); {RESTORE}') from None
    except ValueError:  # an integer with thousands of digits
        raise DatasetError(f'{path}:1: contains a number with too many digits; {RESTORE}') from None
    except RecursionError:
        raise DatasetError(f'{path}:1: the JSON is nested too deeply; {RESTORE}') from None


def check_paths(paths: Iterable[str], where: str) -> None:
    """Raise DatasetError, with the prefix ``where``, for the first path that may leave its folder by its text.

    Empty and absolute paths, and paths with backslashes, drive letters, control characters or ``..`` are refused.
    """
    for path in paths:
        leaves = not path or path[0] in '/~' or '\\' in path or path[1:2] == ':' or _UNPRINTABLE.search(path)
        if leaves or ('..' in path and '..' in path.split('/')):
            raise DatasetError(f'{where}: frame path {path!r} is empty or leaves the dataset folder; correct it')


def shortened(texts: Sequence[str], limit: int) -> str:
    """Join the first ``limit`` texts and the number of remaining ones."""
    more = f' and {len(texts) - limit} more' if len(texts) > limit else ''
    return ', '.join(texts[:limit]) + more
