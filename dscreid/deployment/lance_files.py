"""Find and undo what LanceDB leaves on the disk if a write fails."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Last bytes of a complete file.
_MAGIC = b'LANC'
_FOLDERS = ('data', '_indices', '_versions')
#: Descriptions of errors that reach a message without their number.
_WORDS = {'no storage space': errno.ENOSPC, 'quota exceeded': errno.EDQUOT, 'file too large': errno.EFBIG}


def system_error(message: str) -> int | None:
    """Find the error number of the operating system in a message of LanceDB; None without one."""
    if (named := re.search(r'\(os error (\d+)\)', message)) is not None:
        return int(named[1])
    return next((number for words, number in _WORDS.items() if words in message.lower()), None)


@contextmanager
def undone_if_incomplete(table: Path) -> Iterator[None]:
    """Undo what a block wrote to a table if a file is incomplete.

    LanceDB loses the error of the last write to a file, for example on a full disk, and commits a version that cannot
    be read. Only one process may write to the table. A block that deletes all earlier versions cannot be undone.

    Args:
        table: Folder of the table, ``NAME.lance``.

    Raises:
        OSError: If a file is incomplete; the table is then as before.
    """
    before = _files(table)
    yield
    written = _files(table) - before
    incomplete = [path for path in written if not _is_complete(path)]
    if not incomplete:
        return
    # deleting needs no space; versions are deleted first, because they name the other files
    versions = {path for path in written if path.parent.name == '_versions'}
    if any(path.parent.name == '_versions' and path.is_file() for path in before):
        for path in (*sorted(versions), *incomplete):
            path.unlink(missing_ok=True)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(table.parent))


def _files(table: Path) -> set[Path]:
    """List all files that end with the magic bytes."""
    paths = (path for folder in _FOLDERS for path in (table / folder).rglob('*'))
    return {path for path in paths if path.suffix in ('.lance', '.idx', '.manifest') and path.is_file()}


def _is_complete(path: Path) -> bool:
    with path.open('rb') as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_MAGIC)))
        return file.read() == _MAGIC
