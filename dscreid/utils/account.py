"""Support for accounts without a home folder or a name, as in containers started with ``--user 12345``."""

import getpass
import os
import stat
import tempfile
from pathlib import Path


def complete_account() -> None:
    """Set missing environment variables that libraries need to find a user name and a cache folder.

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
        private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
        if not private:
            return Path(tempfile.mkdtemp(prefix='dscreid-'))
    return folder
