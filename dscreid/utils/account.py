"""Accounts without a home folder or a name, as containers started with ``--user 12345`` have."""

import getpass
import os
import stat
import tempfile
from pathlib import Path


def complete_account() -> None:
    """Set the variables that libraries need to find a user name and a folder for caches, if the account lacks them.

    Without a name ``USER`` is set, as torch asks for one; without a home folder ``HOME``, and without one that can be
    written to ``XDG_CACHE_HOME``, to a private folder in the folder for temporary files. Variables that are set keep
    their values.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # by version of Python
        os.environ['USER'] = f'uid{os.getuid()}'
    home = os.path.expanduser('~')
    if home == '~':
        os.environ['HOME'] = str(_private_folder())
    elif not os.access(home, os.W_OK | os.X_OK) and 'XDG_CACHE_HOME' not in os.environ:
        os.environ['XDG_CACHE_HOME'] = str(_private_folder())


def _private_folder() -> Path:
    """A folder that only this account can write to; the same one each time, unless another account took its name."""
    folder = Path(tempfile.gettempdir(), f'dscreid-{os.getuid()}')
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
        if not private:
            return Path(tempfile.mkdtemp(prefix='dscreid-'))
    return folder
