"""Software versions and hardware of a run."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from dscreid.utils.machine import usable_cores
from dscreid.version import __version__

PACKAGES = ('torch', 'torchvision', 'mmengine', 'open_clip_torch', 'faiss-cpu', 'faiss-gpu', 'numpy', 'scipy')


def collect_environment() -> dict[str, str]:
    """Collect the versions of dscreid, Python and relevant packages, and the processor, cores and accelerator."""
    facts = {'dscreid': __version__, 'Python': platform.python_version()}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    facts['System'] = f'{platform.system()} {platform.release()}'
    facts['Processor'] = _processor()
    facts['Cores'] = str(usable_cores())
    facts['Accelerator'] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'none'
    return facts


def _processor() -> str:
    """Return the marketing name of the processor if the system provides it."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.is_file() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()
