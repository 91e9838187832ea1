"""What is set before libraries are imported, and that nothing else is."""

import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.utils.dl_utils import mmcv_full_available

from dscreid.utils.startup import complete_account, let_threads_sleep, restore_find_loader

NO_USER = 54321  # in no list of users
NAMES = ('LOGNAME', 'USER', 'LNAME', 'USERNAME')


@pytest.fixture
def account(tmp_path, monkeypatch):
    """An account that the system does not know, without any variable; folders for temporary files are there."""

    def unknown(*_):
        raise KeyError('uid not found')

    monkeypatch.setattr('pwd.getpwuid', unknown)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    for name in (*NAMES, 'HOME', 'XDG_CACHE_HOME'):
        monkeypatch.setenv(name, 'x')  # so that monkeypatch puts back what was there
        monkeypatch.delenv(name)
    return tmp_path / f'dscreid-{os.getuid()}'


def test_nothing_is_known(account):
    complete_account()
    assert os.environ['USER'] == f'uid{os.getuid()}'
    assert os.environ['HOME'] == str(account)
    assert account.stat().st_mode & 0o777 == 0o700
    assert 'XDG_CACHE_HOME' not in os.environ
    complete_account()
    assert os.environ['HOME'] == str(account)


def test_a_home_that_cannot_be_written_to_stays_the_home(account, monkeypatch):
    monkeypatch.setenv('HOME', '/nonexistent')
    complete_account()
    assert (os.environ['HOME'], os.environ['XDG_CACHE_HOME']) == ('/nonexistent', str(account))


def test_what_is_there_is_kept(account, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('LOGNAME', 'me')
    complete_account()
    assert {name for name in (*NAMES, 'HOME', 'XDG_CACHE_HOME') if name in os.environ} == {'LOGNAME', 'HOME'}
    assert not account.exists()


@pytest.mark.parametrize('kind', ['link', 'open to others'])
def test_a_folder_of_another_account_is_not_taken(account, tmp_path, kind):
    if kind == 'link':
        (tmp_path / 'elsewhere').mkdir()
        account.symlink_to(tmp_path / 'elsewhere')
    else:
        account.mkdir()
        account.chmod(0o777)
    complete_account()
    home = Path(os.environ['HOME'])
    assert home != account
    assert home.parent == tmp_path


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
    assert run_without_account(code, tmp_path) == [f'uid{NO_USER}']


def test_threads_sleep_by_default():
    environment = {'OMP_NUM_THREADS': '3'}
    let_threads_sleep(environment)
    assert environment == {'OMP_NUM_THREADS': '3', 'OMP_WAIT_POLICY': 'PASSIVE'}


@pytest.mark.parametrize('name', ['OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME'])
def test_what_the_user_decided_stays(name):
    environment = {name: 'mine'}
    let_threads_sleep(environment)
    assert environment == {name: 'mine'}


def test_openmp_learns_of_it():
    # OMP_DISPLAY_ENV lets OpenMP print what it read when it was loaded
    names = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')
    environment = {name: value for name, value in os.environ.items() if name not in names}
    shown = subprocess.run(
        [sys.executable, '-c', 'import dscreid.apis.command_line, torch'],
        env=environment | {'OMP_DISPLAY_ENV': 'TRUE'},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    policies = [line for line in shown.splitlines() if 'OMP_WAIT_POLICY' in line]
    assert policies
    assert all('PASSIVE' in line for line in policies), shown


def test_find_loader_is_restored_where_it_was_removed():
    module = SimpleNamespace()
    restore_find_loader(module)
    assert module.find_loader('json').name == json.__name__
    assert module.find_loader('json.no_such_module') is None


def test_find_loader_of_python_is_kept():
    module = SimpleNamespace(find_loader=len)
    restore_find_loader(module)
    assert module.find_loader is len


def test_mmengine_finds_that_mmcv_lite_has_no_compiled_operators():
    assert hasattr(pkgutil, 'find_loader')
    assert not mmcv_full_available()
