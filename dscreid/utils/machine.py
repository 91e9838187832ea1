"""Cores, memory of processor and GPU, and disk space of this machine."""

import os
import shutil
from pathlib import Path


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory(swap: bool = False) -> int | None:
    """Return the bytes of main memory available to new work, within the limits of control groups; None if unknown.

    ``swap`` includes free swap space.
    """
    facts = {name: rest for name, _, rest in (line.partition(':') for line in _lines(Path('/proc/meminfo')))}
    if 'MemAvailable' not in facts:
        return None
    names = ('MemAvailable', 'SwapFree') if swap else ('MemAvailable',)
    free = 1024 * sum(int(facts[name].removesuffix('kB')) for name in names if name in facts)
    limit = cgroup_headroom()
    return free if limit is None else min(free, limit)


def free_gpu_memory() -> int | None:
    """Return the bytes that torch can still allocate on the current GPU, with cached blocks; None without a GPU."""
    import torch  # not needed by the other functions

    if not torch.cuda.is_available():
        return None
    return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()


def cgroup_headroom(membership: Path = Path('/proc/self/cgroup'), root: Path = Path('/sys/fs/cgroup')) -> int | None:
    """Return the bytes that the tightest memory control group of this process still allows; None without a limit.

    Files that the kernel would drop under pressure do not count as used. Both versions of control groups are read, and
    every group above the process's own. ``membership`` is the kernel's list of the process's groups.
    """
    headrooms = []
    for line in _lines(membership):
        _, controllers, path = line.split(':', 2)
        if controllers == '':
            folder, names = root, ('memory.max', 'memory.current', 'inactive_file')
        elif 'memory' in controllers.split(','):
            folder = root / 'memory'
            names = ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')
        else:
            continue
        group = Path(path.lstrip('/'))
        # the root too: a container sees its own group there, regardless of the path
        headrooms += [_headroom(folder / part, *names) for part in (group, *group.parents)]
    return min((value for value in headrooms if value is not None), default=None)


def free_disk(folder: str | Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    return shutil.disk_usage(_existing(folder)).free


def can_hold_files(folder: str | Path) -> bool:
    """Check if files can be written to a folder, or if it can be created and then written to."""
    existing = _existing(folder)
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _existing(folder: str | Path) -> Path:
    """Return the folder or its nearest existing parent."""
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _lines(path: Path) -> list[str]:
    """Read the lines of a kernel file; empty if it does not exist."""
    try:
        return path.read_text(encoding='ascii').splitlines()
    except OSError:
        return []


def _headroom(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    """Return limit minus usage of one group; None if it has no limit or no files."""
    try:
        limit = (folder / limit_name).read_text(encoding='utf-8').strip()
        if limit == 'max':
            return None
        used = int((folder / usage_name).read_text(encoding='utf-8'))
        facts = dict(line.split() for line in _lines(folder / 'memory.stat'))
    except (OSError, ValueError):
        return None
    return max(0, int(limit) - max(0, used - int(facts.get(cache_name, 0))))
