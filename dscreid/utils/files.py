"""Writing files so that no half-written one is ever left behind; locks and the cache folder."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and move what is written there into its place on success.

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
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def existing_file(path: object) -> Path | None:
    """The regular file that a value names; None where it names none, or is nothing that a file can be called."""
    try:
        file = Path(path).expanduser()
        return file if file.is_file() else None
    except (TypeError, ValueError, RuntimeError, OSError):  # no path, NUL, an unknown ~user, a name too long
        return None


@contextlib.contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold a lock that one process at a time can hold; the system frees it when its holder dies.

    Args:
        path: The lock's file; it and missing parent folders are made, and it stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cache_folder() -> Path:
    """Where results are kept that can be computed again: ``DSCREID_CACHE``, else the user's cache folder."""
    chosen = os.environ.get('DSCREID_CACHE')
    if chosen:
        return Path(chosen)
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'dscreid'


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
