"""What this machine has to offer."""

import os
import resource
import shutil
import sys
from pathlib import Path


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int | None:
    """Bytes of main memory that new work can take without swapping; None where the system does not tell."""
    try:
        for line in Path('/proc/meminfo').read_text(encoding='ascii').splitlines():
            if line.startswith('MemAvailable:'):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def free_disk(folder: str | Path) -> int:
    """Free bytes on the disk that holds a folder, or would hold it once it is made."""
    return shutil.disk_usage(_existing(folder)).free


def can_hold_files(folder: str | Path) -> bool:
    """Whether files can be written to a folder, or it can be made and then written to."""
    existing = _existing(folder)
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _existing(folder: str | Path) -> Path:
    """The folder, or the nearest of those above it that there is."""
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def process_memory() -> int:
    """Highest resident memory of this process so far, in bytes."""
    unit = 1 if sys.platform == 'darwin' else 1024  # ru_maxrss is in kilobytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
