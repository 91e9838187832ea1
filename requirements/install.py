"""Makes ``.venv`` with the tested versions of everything; every target of the Makefile runs this first.

It needs the standard library only. The Python that runs it is the Python of the environment. ``.venv/.installed``
records what an installation contains, or that it has started: an environment of an interrupted installation, of another
Python or of another build of PyTorch is made again.
"""

import argparse
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: An installation is repeated if one of these files changes.
INPUTS = (
    'setup.py',
    'pyproject.toml',
    'requirements/runtime.txt',
    'requirements/tests.txt',
    'requirements/constraints.txt',
    'requirements/install.py',
)
UNFINISHED = {'finished': False}


def main() -> None:
    """Install if ``.venv`` does not contain what is wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--torch',
        choices=('default', 'cpu'),
        help="PyTorch from PyPI (on Linux with CUDA, 6 GB), or PyTorch's build for CPUs (default: the installed one, "
        'else PyPI)',
    )
    arguments = parser.parse_args()
    venv = ROOT / '.venv'
    installed = read_record(venv)
    torch = arguments.torch or installed.get('torch', 'default')
    wanted = {'finished': True, 'python': python_version(), 'torch': torch, 'inputs': fingerprint()}
    if installed == wanted and works(venv):
        return
    try:
        check_python()
        if must_be_made(venv, installed, wanted):
            check_is_environment(venv)
            # resolved, since this may be the Python of the environment that is cleared
            run(Path(sys.executable).resolve(), '-m', 'venv', '--clear', '--without-pip', venv)
        (venv / '.installed').write_text(json.dumps(UNFINISHED))
        if not works(venv):  # a new one: pip follows after the record, so that an interruption is noticed here too
            run(venv / 'bin' / 'python', '-m', 'ensurepip', '--default-pip')
        install(venv / 'bin' / 'python', torch)
        (venv / '.installed').write_text(json.dumps(wanted))
    except subprocess.CalledProcessError as error:
        sys.exit(f'The installation stopped at "{" ".join(error.cmd)}"; run make again after fixing the error above.')
    except KeyboardInterrupt:
        sys.exit('The installation was interrupted; run make again to repeat it.')


def install(python: Path, torch: str) -> None:
    """Install dscreid, editable, and what it needs at the versions of ``constraints.txt``.

    Args:
        python: Interpreter of the environment.
        torch: ``cpu`` for the build without CUDA, ``default`` for PyPI's.
    """
    pins = ROOT / 'requirements' / 'constraints.txt'
    pip_install = (python, '-m', 'pip', 'install', '--quiet', '--constraint', pins)
    run(*pip_install, 'setuptools', 'wheel')
    if torch == 'cpu':
        # uv knows where PyTorch's builds for CPUs are; pip then finds the requirement satisfied. Its cache would be the
        # checkout's folder if there is no home folder.
        run(*pip_install, 'uv')
        uv = (python, '-m', 'uv', 'pip', 'install', '--no-cache', '--python', python, '--constraint', pins)
        run(*uv, '--torch-backend', 'cpu', 'torch', 'torchvision')
    run(*pip_install, '--no-build-isolation', '--editable', f'{ROOT}[dev]')
    # MMEngine and mmcv-lite require opencv-python, which needs libGL.so.1 and other libraries of a desktop. The
    # headless wheel has the same functions without windows, needs no system library, and installs the same folder.
    run(python, '-m', 'pip', 'uninstall', '--quiet', '--yes', 'opencv-python')
    run(*pip_install, '--force-reinstall', '--no-deps', 'opencv-python-headless')


def must_be_made(venv: Path, installed: dict, wanted: dict) -> bool:
    """Whether the environment is missing, broken, half installed, or one of another Python or build of PyTorch."""
    if not works(venv) or installed == UNFINISHED:
        return True
    return any(installed.get(key, wanted[key]) != wanted[key] for key in ('python', 'torch'))


def check_is_environment(venv: Path) -> None:
    """Exit with a sentence rather than delete what may be something else."""
    if venv.is_symlink() or (venv.exists() and not (venv / 'pyvenv.cfg').is_file()):
        sys.exit(f'{venv} is a link, or not a virtual environment; move it away and run make again.')
    if venv.exists():
        print(f'making {venv} again', flush=True)


def works(venv: Path) -> bool:
    """Whether the environment has packages for its Python: after an upgrade of the system, it has none."""
    code = f'import sys, pip; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})'
    try:
        return subprocess.run([venv / 'bin' / 'python', '-c', code], capture_output=True).returncode == 0
    except OSError:  # missing, or a link to a Python that was removed
        return False


def check_python(needed: tuple = ('venv', 'ensurepip')) -> None:
    """Exit with a sentence if this Python is not supported, or lacks a module that makes environments."""
    bounds = re.search(r"python_requires='>=3\.(\d+),<3\.(\d+)'", (ROOT / 'setup.py').read_text())
    lowest, highest = int(bounds[1]), int(bounds[2]) - 1
    remedy = f'for example: make install PYTHON=python3.{highest - 1}'
    if not (3, lowest) <= sys.version_info[:2] <= (3, highest):
        sys.exit(f'Python {python_version()} is not supported; install 3.{lowest} to 3.{highest} and name it, {remedy}')
    if any(importlib.util.find_spec(module) is None for module in needed):
        sys.exit(
            f'{sys.executable} cannot make virtual environments; install its module venv (on Debian and Ubuntu: '
            f'apt install python{python_version()}-venv) or name another Python, {remedy}'
        )


def read_record(venv: Path) -> dict:
    """What ``.venv`` contains; empty if unknown."""
    try:
        record = json.loads((venv / '.installed').read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def fingerprint() -> str:
    """A hash of the files that decide what is installed."""
    return hashlib.sha256(b'\0'.join((ROOT / name).read_bytes() for name in INPUTS)).hexdigest()


def python_version() -> str:
    """Major and minor version of this Python."""
    return f'{sys.version_info[0]}.{sys.version_info[1]}'


def run(*command: object) -> None:
    """Run a command; raise CalledProcessError if it fails."""
    subprocess.run([str(part) for part in command], check=True)


if __name__ == '__main__':
    main()
