"""Shared memory that the worker processes of data loaders need, compared with what the machine has."""

import inspect
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dscreid.datasets.transforms import LoadFrames, SampleFrames
from dscreid.utils.quantities import size_text

#: Where the kernel keeps shared memory; Docker gives a container 64 MB of it.
SHARED_MEMORY = Path('/dev/shm')
#: Batches that a worker of PyTorch's DataLoader prepares in advance, unless the config says otherwise.
_PREFETCH_FACTOR = 2
#: Share of the free bytes that batches may take; the rest is for queues, locks and whole pages.
_USABLE = 0.9


@dataclass(frozen=True)
class LoaderNeed:
    """What the workers of one data loader keep in shared memory.

    Attributes:
        name: Place of the loader in the config, for example ``'train_dataloader'``.
        settings: The loader's settings; those of the config itself, not a copy.
        workers: Number of worker processes, at least 1.
        batch: Bytes of one batch.
        prefetch: Batches that each worker prepares in advance.
    """

    name: str
    settings: dict[str, Any]
    workers: int
    batch: int
    prefetch: int

    @property
    def total(self) -> int:
        """Bytes of all batches that wait, and of the one in use."""
        return self.batch * (self.workers * self.prefetch + 1)

    def workers_for(self, free: int) -> int:
        """The largest number of workers, at most ``workers``, whose batches fit into so many free bytes."""
        batches = int(_USABLE * free) // self.batch - 1
        return max(0, min(self.workers, batches // self.prefetch))


def free_shared_memory(folder: Path = SHARED_MEMORY) -> int | None:
    """Free bytes of shared memory; None if the system has no such folder."""
    return shutil.disk_usage(folder).free if folder.is_dir() else None


def loader_needs(node: Any, name: str = '') -> Iterator[LoaderNeed]:
    """The shared memory of every loader with workers in a config.

    A loader whose pipeline has no ``SampleFrames`` or ``LoadFrames`` is left out: the size of its batches is unknown.

    Args:
        node: A config as plain dicts and lists, or a part of it.
        name: Place of the part in the config.
    """
    if isinstance(node, dict):
        pipeline = (node.get('dataset') or {}).get('pipeline') if 'num_workers' in node else None
        sample = tracklet_bytes(pipeline or ())
        if sample is not None and node['num_workers'] and node.get('batch_size'):
            prefetch = node.get('prefetch_factor') or _PREFETCH_FACTOR
            yield LoaderNeed(name, node, node['num_workers'], sample * node['batch_size'], prefetch)
        node = node.items()
    elif isinstance(node, (list, tuple)):
        node = enumerate(node)
    else:
        return
    for key, value in node:
        yield from loader_needs(value, f'{name}.{key}' if name else str(key))


def tracklet_bytes(pipeline: Any) -> int | None:
    """Bytes of one tracklet's frames, uint8 (T, 3, H, W), after a pipeline; None if the pipeline does not say."""
    steps = {step.get('type'): step for step in pipeline if isinstance(step, Mapping)}
    if not {'SampleFrames', 'LoadFrames'} <= steps.keys():
        return None
    frames = _setting(steps['SampleFrames'], SampleFrames, 'num_frames')
    return int(frames) * 3 * int(np.prod(_setting(steps['LoadFrames'], LoadFrames, 'size')))


def excessive_loaders(config: Any, free: int | None) -> list[tuple[LoaderNeed, int]]:
    """Loaders whose batches do not fit into shared memory, each with the number of workers that fits.

    Processes of one run on the same machine, as ``torchrun`` starts them, share the memory equally.

    Args:
        config: A config as plain dicts and lists.
        free: Free bytes of shared memory; None if unknown, and then nothing is excessive.
    """
    if free is None:
        return []
    free //= int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    return [
        (need, need.workers_for(free))
        for need in loader_needs(config)
        if need.workers_for(free) < need.workers
    ]


def describe_excess(excessive: Sequence[tuple[LoaderNeed, int]], free: int) -> str:
    """One sentence: what there is, what is needed, and how many workers each loader gets.

    Args:
        excessive: At least one loader, as from ``excessive_loaders``.
        free: Free bytes of shared memory.
    """
    workers = ', '.join(f'{need.name} {fitting} of {need.workers}' for need, fitting in excessive)
    return (
        f'{SHARED_MEMORY} has {size_text(free)} free, but the batches of loading workers need up to '
        f'{size_text(max(need.total for need, _ in excessive))}: num_workers is reduced ({workers}) and loading is '
        'slower; in Docker, start the container with a larger --shm-size'
    )


def _setting(step: Mapping[str, Any], transform: type, name: str) -> Any:
    return step.get(name, inspect.signature(transform).parameters[name].default)
