"""Software versions and hardware of a run."""

import platform
import re
from contextlib import suppress
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
        with suppress(PackageNotFoundError):
            facts[package] = version(package)
    info = Path('/proc/cpuinfo')
    marketed = re.search(r'^model name\s*: (.*\S)', info.read_text(encoding='utf-8') if info.is_file() else '', re.M)
    facts['System'] = f'{platform.system()} {platform.release()}'
    facts['Processor'] = marketed[1] if marketed else platform.processor() or platform.machine()
    facts['Cores'] = str(usable_cores())
    facts['Accelerator'] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'none'
    return facts
