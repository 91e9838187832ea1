"""Compare the shared memory needed by data loader workers with what the machine has."""

import contextlib
import inspect
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dscreid.datasets.samplers.batch_plan_sampler import planned_batch_size
from dscreid.datasets.transforms import LoadFrames, SampleFrames
from dscreid.engine.extraction import cluster_hook_of, extraction_loader
from dscreid.utils.quantities import size_text

#: Where the kernel keeps shared memory; Docker gives a container 64 MB by default.
SHARED_MEMORY = Path('/dev/shm')
#: Batches that a worker of PyTorch's DataLoader prefetches by default.
_PREFETCHED = 2
#: Fraction of the free bytes that batches may use; the rest is for queues, locks and page rounding.
_USABLE = 0.9


class LoaderNeed(NamedTuple):
    """Shared memory used by the workers of one data loader; ``settings`` are those in the config, not a copy."""

    name: str
    settings: Any
    workers: int
    batch: int  # bytes
    prefetch: int  # batches that each worker prepares in advance

    @property
    def total(self) -> int:
        """Bytes of all waiting batches and the one in use."""
        return self.batch * (self.workers * self.prefetch + 1)


def free_shared_memory(folder: Path = SHARED_MEMORY) -> int | None:
    """Return the free bytes of shared memory; None if the system has no such folder."""
    return shutil.disk_usage(folder).free if folder.is_dir() else None


def loader_needs(config: Mapping[str, Any]) -> list[LoaderNeed]:
    """List the needs of every loader with workers and batches of known size, also of the ``ClusterHook``'s."""
    names = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    loaders: dict[str, Any] = {name: config.get(name) for name in names} | {'ClusterHook': extraction_loader(config)}
    found = []
    for name, loader in loaders.items():
        # no such loader, or values that are refused elsewhere
        with contextlib.suppress(AttributeError, KeyError, TypeError):
            batch_size = planned_batch_size(loader.get('sampler')) or loader['batch_size']
            batch, prefetch = batch_size * tracklet_bytes(loader['dataset']['pipeline']), loader.get('prefetch_factor')
            settings: Any = cluster_hook_of(config) if name == 'ClusterHook' else loader
            need = LoaderNeed(name, settings, loader['num_workers'], batch, prefetch or _PREFETCHED)
            if min(need.workers, need.batch, need.prefetch) > 0:
                found.append(need)
    return found


def tracklet_bytes(pipeline: Sequence[Mapping[str, Any]]) -> int:
    """Compute the bytes of a tracklet's frames, uint8 (T, 3, H, W), after a pipeline; KeyError if unknown."""
    steps = {step['type']: step for step in pipeline}
    frames, size = (
        steps[step.__name__].get(key, inspect.signature(step).parameters[key].default)
        for step, key in ((SampleFrames, 'num_frames'), (LoadFrames, 'size'))
    )
    return frames * 3 * math.prod(size)


def excessive_loaders(config: Any, free: int | None) -> list[tuple[LoaderNeed, int]]:
    """Find loaders whose batches exceed ``free`` bytes (None if unknown), and the number of workers that fits.

    Processes of one run on the same machine, as started by ``torchrun``, share the memory equally.
    """
    if free is None:
        return []
    usable = int(_USABLE * (free // int(os.environ.get('LOCAL_WORLD_SIZE', 1))))
    needs = [(need, max(0, (usable // need.batch - 1) // need.prefetch)) for need in loader_needs(config)]
    return [(need, fitting) for need, fitting in needs if fitting < need.workers]


def describe_excess(excessive: Sequence[tuple[LoaderNeed, int]], free: int) -> str:
    """Describe in one sentence what is free, what is needed, and how many workers each excessive loader gets."""
    workers = ', '.join(f'{need.name} {fitting} of {need.workers}' for need, fitting in excessive)
    most = size_text(max(need.total for need, _ in excessive))
    return (
        f'{SHARED_MEMORY} has {size_text(free)} free, but batches of loading workers need up to {most}: num_workers '
        f'is reduced ({workers}) and loading is slower; in Docker, start the container with a larger --shm-size'
    )
