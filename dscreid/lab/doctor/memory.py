"""Stay within the free memory."""

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dscreid.utils.machine import free_memory

#: Bytes of main memory reserved for other processes.
_RESERVE = 256 * 2**20


@contextmanager
def within_free_memory(device: torch.device) -> Iterator[None]:
    """Make allocations beyond the free main memory fail, so that the kernel does not kill the process.

    Such allocations raise MemoryError or torch's RuntimeError. On a GPU, torch raises an error without this limit.
    """
    used, free = _data_bytes(), free_memory()
    if device.type != 'cpu' or used is None or free is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (used + max(free - _RESERVE, 0), soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int | None:
    """Return the bytes of this process that ``RLIMIT_DATA`` counts. None if unknown."""
    status = Path('/proc/self/status')
    found = re.search(r'^VmData:\s+(\d+) kB', status.read_text(encoding='ascii'), re.M) if status.is_file() else None
    return None if found is None else 1024 * int(found[1])
