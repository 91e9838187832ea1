"""Check package versions and free resources."""

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import torch

from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.utils.machine import can_hold_files, free_disk, free_memory, usable_cores

#: Without it, OpenCV decodes the frames.
_OPTIONAL = ('simplejpeg',)
#: Packages that can replace each other.
_ALTERNATIVES = {
    'opencv-python': ('opencv-python-headless', 'opencv-contrib-python'),
    'mmcv-lite': ('mmcv',),
    'faiss-cpu': ('faiss-gpu-cu12', 'faiss-gpu'),
}


def check_machine(folder: str | Path) -> list[Finding]:
    """Check packages, accelerator, memory and disk."""
    facts, missing = collect_versions()
    message, remedy = ', '.join(f'{name} {number}' for name, number in facts.items()), ''
    if missing:
        message += f'; missing: {", ".join(missing)}'
        remedy = 'run `make install` or pip install -r requirements/runtime.txt'
    severity = Severity.BROKEN if missing else Severity.OK
    packages = Finding('packages', 'environment', severity, message, remedy)
    return [packages, _accelerator(), _resources(folder)]


def collect_versions() -> tuple[dict[str, str], list[str]]:
    """Return versions by package, Python first, and the required packages that are missing."""
    facts, missing = {'Python': platform.python_version()}, []
    try:
        lines = [line for line in requires('dscreid') or [] if 'extra ==' not in line]
    except PackageNotFoundError:  # runs without installation
        lines = []
    for package in (re.split(r'[^\w.-]', line, maxsplit=1)[0] for line in lines):
        names = (package, *_ALTERNATIVES.get(package, ()))
        if found := next((name for name in names if _version(name)), None):
            facts[found] = version(found)
        elif package in _OPTIONAL:
            facts[package] = 'missing (optional)'
        else:
            missing.append(package)
    return facts, missing


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _accelerator() -> Finding:
    if not torch.cuda.is_available():
        return Finding('accelerator', 'environment', Severity.INFO, 'no GPU: everything runs on the CPU')
    free, total = torch.cuda.mem_get_info()
    message = f'{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, '
    message += f'{free / 2**30:.1f} of {total / 2**30:.1f} GiB free'
    return Finding('accelerator', 'environment', Severity.OK, message)


def _resources(folder: str | Path) -> Finding:
    memory, disk = free_memory(), free_disk(folder)
    known = 'unknown' if memory is None else f'{memory / 2**30:.1f} GiB'
    message = f'{usable_cores()} cores, {known} memory free, {disk / 2**30:.1f} GiB free on the disk of {folder}'
    if can_hold_files(folder):
        return Finding('resources', 'environment', Severity.OK, message)
    message += ', which is not writable'
    return Finding('resources', 'environment', Severity.BROKEN, message, 'choose another --work-dir')
