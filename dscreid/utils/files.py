"""Writing files so that no half-written one is ever left behind, and one process at a time in a folder."""

import contextlib
import fcntl
import json
import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import print_log

from dscreid.errors import BusyError

#: How :func:`replacing` names its temporary files: eight characters of ``mkstemp`` between two dots.
_TEMPORARY = re.compile(r'\.(?P<name>.+)\.[a-z0-9_]{8}(?P<suffix>(\.\w+)?)')


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and move what is written there into its place on success.

    What is moved has reached the disk before (fsync), so that not even a power cut leaves a half-written file under
    the name. A process that is killed in the block leaves the temporary file; see :func:`remove_partial_files`.

    Args:
        path: The file to create or replace; missing parent folders are made.

    Yields:
        Where to write; removed when the block raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f'.{path.name}.', suffix=path.suffix, dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_partial_files(folder: str | Path) -> list[Path]:
    """Remove what :func:`replacing` left in a folder when its process was killed; no other process may write there.

    Args:
        folder: The folder.

    Returns:
        What was removed.
    """
    removed = []
    for path in Path(folder).glob('.*'):
        match = _TEMPORARY.fullmatch(path.name)
        if match and Path(match['name']).suffix == match['suffix'] and path.is_file():
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


@contextlib.contextmanager
def only_process_in(folder: str | Path) -> Iterator[None]:
    """Hold a folder for this process alone.

    The lock is the operating system's (POSIX, on the file ``.lock``): it ends with the process, however that ends,
    and processes forked from this one do not hold it. It does not keep threads of one process apart.

    Args:
        folder: Made where it is missing.

    Raises:
        BusyError: Another process holds the folder; the message says which.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('a+', encoding='utf-8') as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:  # POSIX allows both
            raise BusyError(
                f'{folder}: another run{_holder(file)} works in this folder; wait for it, end it, or choose another '
                '--work-dir'
            ) from error
        except OSError as error:
            # some network file systems have no locks; a run is worth more than the protection
            print_log(
                f'{folder}: cannot be locked ({error.strerror}), so nothing keeps a second run out',
                logger='current',
                level=logging.WARNING,
            )
        file.truncate(0)
        started = time.strftime('%Y-%m-%d %H:%M:%S')
        file.write(json.dumps(dict(pid=os.getpid(), host=socket.gethostname(), started=started)))
        file.flush()
        yield


def _holder(file) -> str:
    """Who wrote the lock file, for a message; empty where it does not say."""
    file.seek(0)
    try:
        content = json.loads(file.read())
        return f' (process {content["pid"]} on {content["host"]}, since {content["started"]})'
    except (ValueError, KeyError, TypeError):
        return ''


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
