"""The script that makes ``.venv``, on a copy of the files that it reads and with a Python that only takes notes."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]
PYTHON = f'{sys.version_info[0]}.{sys.version_info[1]}'


def load(checkout: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location('install', checkout / 'requirements' / 'install.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the files that decide what is installed, with an environment whose Python notes its arguments."""
    folder = tmp_path / 'a checkout'
    folder.mkdir()
    shutil.copytree(REPOSITORY / 'requirements', folder / 'requirements')
    for name in ('setup.py', 'pyproject.toml', 'Makefile'):
        shutil.copy(REPOSITORY / name, folder)
    python = folder / '.venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    (folder / '.venv' / 'pyvenv.cfg').touch()
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] || echo "$@" >> "{folder}/calls"\n')
    python.chmod(0o755)
    return folder


def install(checkout: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, checkout / 'requirements' / 'install.py', *options],
        env={'PATH': '/usr/bin:/bin'} | environment,
        capture_output=True,
        text=True,
    )


def calls(checkout: Path) -> list[str]:
    """The calls of the environment's Python since the last time."""
    file = checkout / 'calls'
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def record(checkout: Path, **changes: object) -> None:
    """Say that something was installed."""
    assert install(checkout).returncode == 0
    calls(checkout)
    file = checkout / '.venv' / '.installed'
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_opencv_is_replaced_by_the_headless_wheel_at_the_end(checkout):
    assert install(checkout).returncode == 0
    *_, package, uninstalled, headless = calls(checkout)
    assert package.endswith(f'--editable {checkout}[dev]')
    assert uninstalled == '-m pip uninstall --quiet --yes opencv-python'
    assert headless.endswith('--force-reinstall --no-deps opencv-python-headless')
    assert f'--constraint {checkout}/requirements/constraints.txt' in headless


def test_pytorch_for_cpus_is_installed_before_what_requires_pytorch(checkout):
    assert install(checkout, '--torch', 'cpu').returncode == 0
    lines = calls(checkout)
    (torch,) = [number for number, line in enumerate(lines) if line.startswith('-m uv')]
    (package,) = [number for number, line in enumerate(lines) if '--editable' in line]
    assert lines[torch].endswith('--torch-backend cpu torch torchvision')
    assert torch < package


def test_pytorch_of_pypi_needs_no_uv(checkout):
    assert install(checkout).returncode == 0
    assert [line for line in calls(checkout) if ' uv' in line] == []


def test_what_is_installed_is_not_installed_again(checkout):
    record(checkout)
    assert install(checkout).returncode == 0
    assert calls(checkout) == []


def test_the_installed_build_of_pytorch_is_kept_unless_another_is_asked_for(checkout):
    assert install(checkout, '--torch', 'cpu').returncode == 0
    calls(checkout)
    assert install(checkout).returncode == 0
    assert calls(checkout) == []


@pytest.mark.parametrize('name', ['setup.py', 'requirements/runtime.txt', 'requirements/constraints.txt'])
def test_changed_requirements_are_installed_into_the_same_environment(checkout, name):
    record(checkout)
    with (checkout / name).open('a') as file:
        file.write('\n# changed\n')
    assert install(checkout).returncode == 0
    assert any('--editable' in line for line in calls(checkout))


@pytest.mark.parametrize(
    ('installed', 'again'),
    [
        ({}, False),  # an environment that somebody else made
        ({'finished': False}, True),
        ({'finished': True, 'python': PYTHON, 'torch': 'cpu'}, False),
        ({'finished': True, 'python': PYTHON, 'torch': 'default'}, True),
        ({'finished': True, 'python': '3.9', 'torch': 'cpu'}, True),
    ],
)
def test_environment_is_made_again_for_another_python_or_pytorch_or_after_an_interruption(checkout, installed, again):
    wanted = {'finished': True, 'python': PYTHON, 'torch': 'cpu'}
    assert load(checkout).must_be_made(checkout / '.venv', installed, wanted) is again


def test_environment_of_a_removed_or_an_upgraded_python_does_not_work(checkout):
    script, python = load(checkout), checkout / '.venv' / 'bin' / 'python'
    assert script.works(checkout / '.venv')
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # a Python without its packages
    assert not script.works(checkout / '.venv')
    python.unlink()
    python.symlink_to(checkout / 'removed')
    assert not script.works(checkout / '.venv')


def test_interrupted_installation_starts_from_an_empty_environment_and_a_failed_one_is_not_finished(checkout):
    record(checkout)
    (checkout / '.venv' / '.installed').write_text('{"finished": false}')
    (checkout / '.venv' / 'half').touch()
    process = install(checkout, PIP_NO_INDEX='1')  # nothing can be found, so the first package fails
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith('The installation stopped at "')
    assert not (checkout / '.venv' / 'half').exists()
    assert json.loads((checkout / '.venv' / '.installed').read_text()) == {'finished': False}


def test_unsupported_python_is_one_sentence(checkout):
    file = checkout / 'setup.py'
    file.write_text(file.read_text().replace("python_requires='>=3.10,<3.15'", "python_requires='>=3.99,<3.101'"))
    process = install(checkout)
    assert process.returncode == 1
    assert process.stderr == (
        f'Python {PYTHON} is not supported; install 3.99 to 3.100 and name it, for example: '
        'make install PYTHON=python3.99\n'
    )
    assert calls(checkout) == []


def test_missing_module_venv_is_one_sentence(checkout):
    with pytest.raises(SystemExit, match=r'cannot make virtual environments; .* apt install python3\.\d+-venv'):
        load(checkout).check_python(needed=('venv', 'no_such_module'))


@pytest.mark.parametrize('variables', [[], ['TORCH=cpu'], ['PYTHON=python3.12', 'TORCH=default']])
def test_make_hands_its_variables_to_the_script(checkout, variables):
    # without what a make that runs the tests tells its children
    environment = {name: value for name, value in os.environ.items() if not name.startswith(('MAKE', 'MFLAGS'))}
    command = ['make', '--dry-run', 'install', *variables]
    plan = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout
    values = dict(variable.split('=') for variable in variables)
    options = f'--torch {values["TORCH"]}' if values else ''
    python = values.get('PYTHON', '.venv/bin/python')
    assert plan.strip() == f'{python} requirements/install.py {options}'.strip()


@pytest.mark.parametrize('kind', ['link', 'folder'])
def test_what_is_no_environment_is_never_deleted(checkout, tmp_path, kind):
    shutil.rmtree(checkout / '.venv')
    folder = checkout / '.venv'
    if kind == 'link':
        folder = tmp_path / 'elsewhere'
        (checkout / '.venv').symlink_to(folder)
    folder.mkdir()
    (folder / 'mine.txt').touch()
    done = install(checkout)
    assert done.returncode == 1
    assert 'is a link, or not a virtual environment; move it away' in done.stderr
    assert (folder / 'mine.txt').exists()
