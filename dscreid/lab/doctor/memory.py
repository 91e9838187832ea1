"""What a training step needs in memory, how to stay within what is free, and errors that report its end."""

import re
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dscreid.registry import MODELS
from dscreid.utils.machine import free_memory

#: Bytes of main memory reserved for other processes.
_RESERVE = 256 * 2**20
#: Bytes of a weight's two moments in Adam.
_MOMENTS = 8


class TrainingMemory(NamedTuple):
    """Bytes of a training step in float32 that stay on each device until its end."""

    weights: int
    gradients: int
    moments: int  #: of Adam
    activations: int  #: that the backbone keeps for the backward pass, of the device's share of the batch

    @property
    def total(self) -> int:
        """All of them, without what one operation needs while it runs."""
        return sum(self)


def training_memory(
    backbone: Mapping[str, Any], size: tuple[int, int, int], tracklets: int, devices: int = 1
) -> TrainingMemory:
    """Compute the memory of a training step from shapes alone, without allocating it.

    Args:
        backbone: Config of a ``SpatioTemporalPrompting``, with or without ``with_cp``; its weights are not read.
        size: Frames of a tracklet, their height and width.
        tracklets: Tracklets of a batch of all devices; each view counts.
        devices: Devices that share the batch equally.
    """
    num_frames, height, width = size
    with FakeTensorMode():  # unlike on the device meta, attention is the fused one
        model = MODELS.build(dict(backbone)).train()
        kept = saved_bytes(lambda: model(torch.empty(1, num_frames, 3, height, width)))
    weights = sum(parameter.nbytes for parameter in model.parameters())
    trained = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    return TrainingMemory(weights, trained, optimizer_bytes(model), kept * -(-tracklets // devices))


def saved_bytes(run: Callable[[], object]) -> int:
    """Return the bytes of the distinct tensors, without parameters, that a call keeps for its gradient."""
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter) and not isinstance(tensor._base, nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage  # kept alive, so that no address is reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(storage.nbytes() for storage in kept.values())


def optimizer_bytes(model: nn.Module) -> int:
    """Return the bytes of Adam's two moments for all trainable parameters."""
    return sum(p.numel() * _MOMENTS for p in model.parameters() if p.requires_grad)


@contextmanager
def within_free_memory(device: torch.device) -> Iterator[None]:
    """Make allocations beyond the free main memory fail, so that the kernel does not kill the process.

    They raise MemoryError or torch's RuntimeError. On a GPU, torch raises an error without such a limit.
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
