"""Memory of a step: measure a few tracklets, forecast a batch, and stay within free memory."""

import re
import resource
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dscreid.utils.machine import free_gpu_memory, free_memory

#: Overhead of allocators and libraries, as a factor on the tensors' memory.
_MARGIN = 1.15
#: Bytes of main memory reserved for other processes.
_RESERVE = 256 * 2**20
#: Bytes of a weight's two moments in Adam.
_MOMENTS = 8


class PeakMemory(TorchDispatchMode):
    """Count the bytes of the living tensors created inside this context (``live``), and their ``peak``."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and count the storages that it returns."""
        given = {id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = func(*args, **(kwargs or {}))
        for storage in (t.untyped_storage() for t in tree_leaves(result) if isinstance(t, Tensor)):
            key, size = id(storage), storage.nbytes()
            if key not in given and key not in self._known:
                self._known.add(key)
                self.live += size
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self._release, key, size)
        return result

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def peak_bytes(step: Callable[[], None], device: torch.device) -> int:
    """Run a step and measure its peak bytes of device memory, in addition to those allocated before."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    with PeakMemory() as memory:
        step()
    return memory.peak


def forecast_bytes(measured: int, share: int, batch: int) -> int:
    """Estimate the memory of ``batch`` tracklets, rather too high, from the peak bytes of ``share`` tracklets."""
    return int(_MARGIN * measured * batch / share)


def optimizer_bytes(model: nn.Module) -> int:
    """Return the bytes of Adam's two moments for all trainable parameters."""
    return sum(p.numel() * _MOMENTS for p in model.parameters() if p.requires_grad)


def memory_to_use(device: torch.device) -> int | None:
    """Return the bytes of device memory that can be used without swapping. None if unknown."""
    if device.type == 'cuda':
        return free_gpu_memory()
    free = free_memory()
    return None if free is None else max(free - _RESERVE, 0)


@contextmanager
def within_free_memory(device: torch.device) -> Iterator[None]:
    """Make allocations beyond the free main memory fail, so that the kernel does not kill the process.

    They raise MemoryError or torch's RuntimeError. On a GPU, torch raises an error without such a limit.
    """
    used, free = _data_bytes(), memory_to_use(device)
    if device.type != 'cpu' or used is None or free is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (used + free, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error reports that memory is exhausted."""
    phrases = ('out of memory', "can't allocate memory", 'bad_alloc', 'bad allocation')
    told = isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in phrases)
    return told or isinstance(error, (MemoryError, torch.OutOfMemoryError))


def _data_bytes() -> int | None:
    """Return the bytes of this process that ``RLIMIT_DATA`` counts. None if unknown."""
    status = Path('/proc/self/status')
    found = re.search(r'^VmData:\s+(\d+) kB', status.read_text(encoding='ascii'), re.M) if status.is_file() else None
    return None if found is None else 1024 * int(found[1])
