"""Check package versions and free resources."""

import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch

from dscreid.apis.shared_memory import SHARED_MEMORY, describe_excess, excessive_loaders
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.stages import Stage
from dscreid.utils.machine import can_hold_files, free_disk, free_memory, usable_cores
from dscreid.utils.quantities import size_text

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
    findings = [
        Finding(
            'packages',
            'environment',
            Severity.BROKEN if missing else Severity.OK,
            ', '.join(f'{name} {number}' for name, number in facts.items())
            + (f'; missing: {", ".join(missing)}' if missing else ''),
            'run `make install` or pip install -r requirements/runtime.txt' if missing else '',
            values=facts | {'missing': missing},
        )
    ]
    return [*findings, _accelerator(), _resources(folder)]


def check_shared_memory(stages: Iterable[Stage], free: int | None) -> list[Finding]:
    """Compare free shared memory with what the loader workers of all stages need.

    Args:
        stages: The stages.
        free: Free bytes of shared memory. None if unknown, which gives no finding.
    """
    if free is None:
        return []
    check, values = ('shared memory', 'environment'), dict(free_shared_memory=free)
    excessive = [loader for stage in stages for loader in excessive_loaders(stage.config.to_dict(), free)]
    if excessive:
        unique = {(need.name, need.workers, need.batch): (need, workers) for need, workers in excessive}
        message = describe_excess(list(unique.values()), free)
        return [Finding(*check, Severity.WARNING, message, values=values)]
    return [Finding(*check, Severity.OK, f'{size_text(free)} free in {SHARED_MEMORY}', values=values)]


def collect_versions() -> tuple[dict[str, str], list[str]]:
    """Return versions by package, Python first, and the required packages that are missing."""
    facts, missing = {'Python': platform.python_version()}, []
    for package in _required():
        found = _version(package, *_ALTERNATIVES.get(package, ()))
        if found is not None:
            facts[found[0]] = found[1]
        elif package in _OPTIONAL:
            facts[package] = 'missing (optional)'
        else:
            missing.append(package)
    return facts, missing


def _required() -> list[str]:
    """Packages that the installed distribution requires; empty if it runs without installation."""
    try:
        lines = requires('dscreid') or []
    except PackageNotFoundError:
        return []
    return [re.split(r'[^\w.-]', line, maxsplit=1)[0] for line in lines if 'extra ==' not in line]


def _version(*names: str) -> tuple[str, str] | None:
    for name in names:
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return None


def _accelerator() -> Finding:
    if not torch.cuda.is_available():
        return Finding('accelerator', 'environment', Severity.INFO, 'no GPU: everything runs on the CPU')
    free, total = torch.cuda.mem_get_info()
    message = (
        f'{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, {free / 2**30:.1f} of '
        f'{total / 2**30:.1f} GiB free'
    )
    values: dict[str, Any] = dict(cuda=torch.version.cuda, free=free, total=total)
    return Finding('accelerator', 'environment', Severity.OK, message, values=values)


def _resources(folder: str | Path) -> Finding:
    memory, disk = free_memory(), free_disk(folder)
    known = 'unknown' if memory is None else f'{memory / 2**30:.1f} GiB'
    message = (
        f'{usable_cores()} cores, {known} memory free, {disk / 2**30:.1f} GiB free on the disk of {folder}'
    )
    values = dict(cores=usable_cores(), free_memory=memory, free_disk=disk)
    if can_hold_files(folder):
        return Finding('resources', 'environment', Severity.OK, message, values=values)
    message += ', which is not writable'
    return Finding(
        'resources', 'environment', Severity.BROKEN, message, 'choose another --work-dir', values=values
    )
