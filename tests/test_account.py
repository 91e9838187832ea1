"""A process whose account has no home folder and no name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dscreid.account import complete_account

NO_USER = 54321  # in no list of users


def run_without_account(code: str, tmp_path: Path) -> list[str]:
    """Run code in a process of an unknown user, with neither HOME nor a user's name; return the lines it prints."""
    hidden = ('HOME', 'USER', 'LOGNAME', 'LNAME', 'USERNAME', 'XDG_CACHE_HOME')
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    paths = os.pathsep.join(filter(None, sys.path))
    # the user changes after the start, since the tests' Python may lie where other users cannot read
    prelude = f'import os; os.getuid = os.geteuid = lambda: {NO_USER}\n'
    process = subprocess.run(
        [sys.executable, '-c', prelude + code],
        env=environment | {'PYTHONPATH': paths, 'TMPDIR': str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


@pytest.mark.parametrize('library', ['mmengine.config', 'matplotlib.pyplot', 'torch._dynamo'])
def test_libraries_that_ask_for_the_user_are_imported(library, tmp_path):
    code = f'import dscreid, {library}, getpass; print(getpass.getuser())'
    assert run_without_account(code, tmp_path) == [f'user{NO_USER}']


def test_home_folder_is_private_empty_and_removed_at_the_end(tmp_path):
    code = 'import dscreid, os; home = os.environ["HOME"]; print(home, os.listdir(home), oct(os.stat(home).st_mode))'
    (line,) = run_without_account(code, tmp_path)
    home, entries, mode = line.split()
    assert (Path(home).parent, entries, mode) == (tmp_path, '[]', '0o40700')
    assert not Path(home).exists()


def test_known_account_is_left_alone():
    environment: dict[str, str] = {}
    complete_account(environment)
    assert environment == {}
