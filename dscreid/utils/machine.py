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

    Files that the kernel would drop under pressure do not count as used. All groups above the process's own are read;
    a container sees its own group at the root. ``membership`` is the kernel's list of the process's groups.
    """
    own = next((line.removeprefix('0::/') for line in _lines(membership) if line.startswith('0::/')), None)
    groups = [] if own is None else [Path(own), *Path(own).parents]
    headrooms = [_headroom(root / group) for group in groups]
    return min((value for value in headrooms if value is not None), default=None)


def free_disk(folder: str | Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    return shutil.disk_usage(_existing(folder)).free


def can_hold_files(folder: str | Path) -> bool:
    """Check if files can be written to a folder, or if it can be created and then written to."""
    existing = _existing(folder)
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _existing(folder: str | Path) -> Path:
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding='ascii').splitlines()
    except OSError:
        return []


def _headroom(folder: Path) -> int | None:
    """Return limit minus usage of one group; None if it has no limit or no files."""
    limit, used = (_lines(folder / name) for name in ('memory.max', 'memory.current'))
    if not (limit and used) or limit == ['max']:
        return None
    facts = dict(line.split() for line in _lines(folder / 'memory.stat'))
    return max(0, int(limit[0]) - max(0, int(used[0]) - int(facts.get('inactive_file', 0))))
