"""A home folder and a user name for processes whose account has none, as with ``docker run --user 12345``."""

import atexit
import getpass
import os
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path


def complete_account(environment: MutableMapping[str, str]) -> None:
    """Set ``HOME`` and ``LOGNAME`` if neither the environment nor the system's list of users tells them.

    PyTorch's compiler asks for the user's name when it is imported; yapf (by MMEngine) and matplotlib ask for the home
    folder, and raise an error without it. The home folder that is set is empty, private, and removed at the end of this
    process; processes that it starts share it.

    Args:
        environment: ``os.environ``.
    """
    try:
        Path.home()
    except RuntimeError:
        environment['HOME'] = home = tempfile.mkdtemp(prefix='dscreid-home-')
        atexit.register(_remove, home, os.getpid())
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        environment['LOGNAME'] = f'user{os.getuid()}'


def _remove(home: str, process: int) -> None:
    if os.getpid() == process:  # not in a forked process
        shutil.rmtree(home, ignore_errors=True)
