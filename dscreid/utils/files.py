"""Writing files as a whole, and recognizing the partial ones that a killed process leaves; locks; the cache folder."""

import contextlib
import errno
import fcntl
import json
import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from safetensors import SafetensorError

from dscreid.errors import BusyError, ConfigError

#: In the name of each temporary file of :func:`replacing`, so that it cannot be mistaken for another program's.
_MARK = '.dscreid-partial-'
_PARTIAL = re.compile(rf'\..+{re.escape(_MARK)}[a-z0-9_]{{8}}(\.[^.]+)?')
#: By which one process at a time holds a folder.
LOCK_FILE = '.dscreid.lock'


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and move what is written there into its place on success.

    What is moved has reached the disk before (fsync), so that not even a power cut leaves a half-written file under
    the name. A process that is killed in the block leaves the temporary file; see :func:`remove_partial_files`.

    Args:
        path: The file to create or replace; missing parent folders are made. If it is a link, the file that it points
            to is replaced.

    Yields:
        Where to write; removed when the block raises.

    Raises:
        OSError: It cannot be written, for example on a full disk; the error names ``path``.
    """
    check_replaceable(path)
    path = _target(path)
    with _errors_named_after(path):
        descriptor, name = tempfile.mkstemp(
            prefix=f'.{path.name}{_MARK}', suffix=path.suffix, dir=path.parent
        )
    os.close(descriptor)
    temporary = Path(name)
    try:
        with _errors_named_after(path):
            yield temporary
            temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(path: str | Path) -> None:
    """Find out before long work that a file cannot be written at its end; missing parent folders are made.

    Raises:
        OSError: The path is that of a folder, or its own folder cannot be made or written to.
        ConfigError: The path is that of a device or a pipe.
    """
    path = Path(path)
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise ConfigError(f'{path}: is a device or pipe, which cannot be replaced; name a file')
    parent = _target(path).parent
    parent.mkdir(parents=True, exist_ok=True)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def check_outputs(outputs: Iterable[str | Path | None], inputs: Iterable[str | Path | None] = ()) -> None:
    """Check the files that a tool is to write, before its work; the user named them, so existing ones are replaced.

    Args:
        outputs: Files to write; None is skipped.
        inputs: Files that the tool reads, which it must not replace; None is skipped.

    Raises:
        ConfigError: Two of them are the same file, or one is a file that the tool reads, a device or a pipe.
        OSError: See :func:`check_replaceable`.
    """
    taken = {_target(path): 'is read by the same command' for path in inputs if path is not None}
    for path in outputs:
        if path is None:
            continue
        check_replaceable(path)
        if (reason := taken.get(_target(path))) is not None:
            raise ConfigError(f'{path}: cannot be written, it {reason}; name another file')
        taken[_target(path)] = 'is named for two outputs'


def _target(path: str | Path) -> Path:
    """The file behind links; a link that leads nowhere or in a circle is no error here."""
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def _errors_named_after(path: Path) -> Iterator[None]:
    """Let errors of the operating system name a file, not the temporary one in its place; safetensors hides them."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    except SafetensorError as error:
        found = re.search(r'\(os error (\d+)\)', str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error


def is_partial(path: Path) -> bool:
    """Whether a file is a temporary one of :func:`replacing`, by its name."""
    return _PARTIAL.fullmatch(path.name) is not None and path.is_file()


def remove_partial_files(folder: str | Path) -> list[Path]:
    """Remove what :func:`replacing` left in a folder when its process was killed; no other process may write there.

    Args:
        folder: The folder.

    Returns:
        What was removed.
    """
    removed = [path for path in Path(folder).glob('.*') if is_partial(path)]
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


@contextlib.contextmanager
def only_process_in(folder: str | Path) -> Iterator[None]:
    """Hold a folder for this process alone, by the lock ``.dscreid.lock`` in it; see :func:`locked`.

    Args:
        folder: Made where it is missing.

    Raises:
        BusyError: Another process holds the folder; the message says which.
        ConfigError: The folder cannot be made or written to.
    """
    try:
        lock = _open_lock(Path(folder, LOCK_FILE))
    except OSError as error:
        raise ConfigError(
            f'{folder}: cannot be made or written to ({error.strerror}); choose another --work-dir'
        ) from error
    with lock as file:
        try:
            _lock(file, fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:  # POSIX allows both
            raise BusyError(
                f'{folder}: another run{_holder(file)} works in this folder; wait for it, end it, or choose another '
                '--work-dir'
            ) from error
        file.truncate(0)
        started = time.strftime('%Y-%m-%d %H:%M:%S')
        file.write(json.dumps(dict(pid=os.getpid(), host=socket.gethostname(), started=started)))
        file.flush()
        yield


@contextlib.contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold a lock that one process at a time can hold; others wait.

    The lock is the operating system's (POSIX): it ends with the process, however that ends, and processes forked from
    this one do not hold it. It does not keep threads of one process apart.

    Args:
        path: The lock's file; it and missing parent folders are made, and it stays.
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

        # some network file systems have no locks; a run is worth more than the protection
        print_log(
            f'{file.name}: cannot be locked ({error.strerror}), so nothing keeps other processes out',
            logger='current',
            level=logging.WARNING,
        )


def _holder(file: IO[str]) -> str:
    """Who wrote the lock file, for a message; empty where it does not say."""
    file.seek(0)
    try:
        content = json.loads(file.read())
        return f' (process {content["pid"]} on {content["host"]}, since {content["started"]})'
    except (ValueError, KeyError, TypeError):
        return ''


def existing_file(path: object) -> Path | None:
    """The regular file that a value names; None where it names none, or is nothing that a file can be called."""
    try:
        file = Path(path).expanduser()
        return file if file.is_file() else None
    except (TypeError, ValueError, RuntimeError, OSError):  # no path, NUL, an unknown ~user, a name too long
        return None


def cache_folder() -> Path:
    """Make and return the folder of results that can be computed again.

    Returns:
        ``DSCREID_CACHE`` if set, else ``dscreid`` in the user's cache folder.

    Raises:
        ConfigError: If the folder cannot be written.
    """
    chosen = os.environ.get('DSCREID_CACHE')
    folder = Path(chosen or Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'dscreid')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigError(
            f'The cache folder {folder} cannot be written ({error.strerror}); set the environment variable '
            'DSCREID_CACHE to a folder that can.'
        ) from None
    return folder


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
