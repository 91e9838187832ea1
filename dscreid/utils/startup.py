"""What must be set before other libraries are imported."""

import getpass
import os
import stat
import tempfile
from collections.abc import MutableMapping
from importlib.abc import Loader
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: Variables with which a user can choose how OpenMP threads wait: OpenMP's own, GNU's and Intel's.
_DECISIONS = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')


def complete_account() -> None:
    """Support accounts without a home folder or a name, as in containers started with ``--user 12345``.

    ``USER`` is set if the account has no name. A missing ``HOME``, or the ``XDG_CACHE_HOME`` of a home folder that is
    not writable, is set to a private temporary folder.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # depends on the Python version
        os.environ['USER'] = f'uid{os.getuid()}'
    home = os.path.expanduser('~')
    if home == '~':
        os.environ['HOME'] = str(_private_folder())
    elif not os.access(home, os.W_OK | os.X_OK) and 'XDG_CACHE_HOME' not in os.environ:
        os.environ['XDG_CACHE_HOME'] = str(_private_folder())


def _private_folder() -> Path:
    """Create a folder writable only by this account; always the same one unless another account has taken its name."""
    folder = Path(tempfile.gettempdir(), f'dscreid-{os.getuid()}')
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            return Path(tempfile.mkdtemp(prefix='dscreid-'))
    return folder


def let_threads_sleep(environment: MutableMapping[str, str]) -> None:
    """Let waiting OpenMP threads sleep instead of spinning, unless the user has chosen otherwise.

    This makes a training step 1.7 times as fast next to one busy process, and a third longer on an idle machine
    (``docs/performance.md``).
    """
    if not any(name in environment for name in _DECISIONS):
        environment['OMP_WAIT_POLICY'] = 'PASSIVE'


def restore_find_loader(module: Any) -> None:
    """Restore ``pkgutil.find_loader`` in its module; Python 3.14 removed it, and MMEngine 0.10.7 needs it."""
    if not hasattr(module, 'find_loader'):
        module.find_loader = _find_loader


def _find_loader(name: str) -> Loader | None:
    spec = find_spec(name)
    return None if spec is None else spec.loader
