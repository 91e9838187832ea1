"""Atomic file writing, partial files left by a killed process, file locks, and the cache folder."""

import contextlib
import errno
import fcntl
import logging
import os
import re
import secrets
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError

from dscreid.errors import BusyError, ConfigError

#: Part of the name of each temporary file of :func:`replacing`, to distinguish it from other programs' files.
_MARK = '.dscreid-partial-'
_PARTIAL = re.compile(rf'\..+{re.escape(_MARK)}[a-z0-9_]{{8}}(\.[^.]+)?')
#: Lock file of a folder that only one process at a time may use.
LOCK_FILE = '.dscreid.lock'


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path`` and, on success, move the file written there to ``path``.

    The data is flushed to disk (fsync) first, so that not even a power failure leaves a partial file under the final
    name. If the block raises, the temporary file is removed; a killed process leaves it (see
    :func:`remove_partial_files`). Missing parent folders are created, links are followed, and a file that is replaced
    keeps its permissions.

    Raises:
        OSError: If it cannot be written, for example on a full disk; the error names ``path``.
    """
    check_replaceable(path)
    path = _target(path)
    temporary = path.with_name(f'.{path.name}{_MARK}{secrets.token_hex(4)}{path.suffix}')
    with _errors_named_after(path):
        temporary.touch(exist_ok=False)
        mode = (path if path.exists() else temporary).stat().st_mode
        temporary.chmod(mode)
        try:
            yield temporary
            temporary.chmod(mode)  # safetensors makes files private
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def check_replaceable(path: str | Path) -> None:
    """Check before long work that a file can be written later; missing parent folders are created.

    Raises:
        OSError: If the path is a folder, or its parent folder cannot be created or written to.
        ConfigError: If the path is a device or a pipe.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise ConfigError(f'{path}: is a device or pipe, which cannot be replaced; name a file')
    parent = _target(path).parent
    parent.mkdir(parents=True, exist_ok=True)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def check_outputs(outputs: Iterable[str | Path | None], inputs: Iterable[str | Path | None] = ()) -> None:
    """Check the output files of a tool before its work. Existing ones may be replaced, its ``inputs`` may not.

    Raises:
        ConfigError: If two outputs are the same file, or one is an input, a device or a pipe.
        OSError: If a file cannot be written.
    """
    taken = {_target(path): 'is read by the same command' for path in inputs if path is not None}
    for path in (path for path in outputs if path is not None):
        check_replaceable(path)
        if (reason := taken.get(_target(path))) is not None:
            raise ConfigError(f'{path}: cannot be written, it {reason}; name another file')
        taken[_target(path)] = 'is named for two outputs'


def _target(path: str | Path) -> Path:
    """Resolve links; broken and circular links are not an error."""
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def _errors_named_after(path: Path) -> Iterator[None]:
    """Make errors of the operating system, also those that safetensors wraps, name ``path``."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        wrapped = re.search(r'\(os error (\d+)\)', str(error))
        number = getattr(error, 'errno', None) or (wrapped and int(wrapped[1]))
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def is_partial(path: Path) -> bool:
    """Check by its name if a file is a temporary one of :func:`replacing`."""
    return _PARTIAL.fullmatch(path.name) is not None and path.is_file()


def remove_partial_files(folder: str | Path) -> list[Path]:
    """Remove, and return, partial files left by a killed process; no other process may write to the folder."""
    removed = [path for path in Path(folder).glob('.*') if is_partial(path)]
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


@contextlib.contextmanager
def only_process_in(folder: str | Path) -> Iterator[None]:
    """Create a folder if missing, and lock it for this process with the file ``.dscreid.lock``.

    Raises:
        BusyError: If another process holds the lock; the message says which.
        ConfigError: If the folder cannot be created or written to.
    """
    remedy = 'choose another --work-dir'
    try:
        lock = _open_lock(Path(folder, LOCK_FILE))
    except OSError as error:
        raise ConfigError(f'{folder}: cannot be created or written to ({error.strerror}); {remedy}') from error
    with lock as file:
        try:
            _lock(file, fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:  # POSIX allows both
            file.seek(0)
            holder = file.read(200)
            raise BusyError(f'{folder}: another run{holder} uses this folder; end it, or {remedy}') from error
        file.truncate(0)
        file.write(f' (process {os.getpid()} on {socket.gethostname()}, since {time.strftime("%Y-%m-%d %H:%M:%S")})')
        file.flush()
        yield


@contextlib.contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold a POSIX lock that only one process at a time can hold; others wait.

    The lock file and missing parent folders are created. The lock does not protect threads from each other.
    """
    with _open_lock(Path(path)) as file:
        _lock(file)
        yield


def _open_lock(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open('a+', encoding='utf-8')


def _lock(file: IO[str], flags: int = 0) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | flags)
    except (BlockingIOError, PermissionError):
        raise
    except OSError as error:
        from mmengine.logging import print_log  # imports torch, which --help does not need

        # some network file systems do not support locks
        text = f'{file.name}: cannot be locked ({error.strerror}), so other processes are not kept out'
        print_log(text, logger='current', level=logging.WARNING)


def existing_file(path: Any) -> Path | None:
    """Return the regular file that a value names, or None if there is none or the value is not a valid path."""
    try:
        file = Path(path).expanduser()
        return file if file.is_file() else None
    except (TypeError, ValueError, RuntimeError, OSError):  # not a path, NUL, unknown ~user, name too long
        return None


def cache_folder() -> Path:
    """Create the folder for results that can be computed again: ``DSCREID_CACHE``, or in the user's cache."""
    chosen = os.environ.get('DSCREID_CACHE')
    folder = Path(chosen or Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'dscreid')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigError(
            f'The cache folder {folder} cannot be written ({error.strerror}); set DSCREID_CACHE to another folder.'
        ) from None
    return folder


def _flush(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
