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


def free_memory(swap: bool = False) -> int | None:
    """Bytes of main memory that new work can take; None where the system does not tell.

    The limits of the control groups that this process is in (containers, Slurm) count as well.

    Args:
        swap: Whether free swap space counts too: False for what can be had without swapping.
    """
    facts = _kilobytes(Path('/proc/meminfo'))
    if 'MemAvailable' not in facts:
        return None
    free = 1024 * (facts['MemAvailable'] + (facts.get('SwapFree', 0) if swap else 0))
    limit = cgroup_headroom()
    return free if limit is None else min(free, limit)


def cgroup_headroom(
    membership: Path = Path('/proc/self/cgroup'), root: Path = Path('/sys/fs/cgroup')
) -> int | None:
    """Bytes that the tightest memory control group of this process still allows; None without a limit.

    Files that the kernel would drop under pressure do not count as used. Both versions of control groups are read, and
    every group above the process's own.

    Args:
        membership: The kernel's list of the process's groups.
        root: Where the groups are mounted.
    """
    headrooms = []
    try:
        lines = membership.read_text(encoding='ascii').splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(':', 2)
        if controllers == '':
            folder, names = root, ('memory.max', 'memory.current', 'inactive_file')
        elif 'memory' in controllers.split(','):
            folder = root / 'memory'
            names = ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')
        else:
            continue
        parts = Path(path.lstrip('/')).parts
        # a container sees its own group as the root, whatever the path says
        for depth in range(len(parts) + 1):
            headrooms.append(_headroom(folder.joinpath(*parts[:depth]), *names))
    return min((value for value in headrooms if value is not None), default=None)


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


def _kilobytes(path: Path) -> dict[str, int]:
    """``Name: 123 kB`` lines of a file of the kernel; empty where there is none."""
    try:
        lines = path.read_text(encoding='ascii').splitlines()
    except OSError:
        return {}
    return {
        name: int(rest.split()[0]) for name, rest in (line.split(':', 1) for line in lines) if rest.strip()
    }


def _headroom(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    """Limit less usage of one group; None where it has no limit, or no files."""
    try:
        limit = (folder / limit_name).read_text(encoding='utf-8').strip()
        if limit == 'max':
            return None
        used = int((folder / usage_name).read_text(encoding='utf-8'))
        facts = dict(
            line.split() for line in (folder / 'memory.stat').read_text(encoding='utf-8').splitlines()
        )
    except (OSError, ValueError):
        return None
    return max(0, int(limit) - max(0, used - int(facts.get(cache_name, 0))))
