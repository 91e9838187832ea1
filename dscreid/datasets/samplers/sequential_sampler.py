"""Samplers for evaluation and feature extraction: every tracklet once, also with one modality per batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from dscreid.datasets.samplers.batch_plan_sampler import seeded_draws
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.errors import ConfigError
from dscreid.registry import DATA_SAMPLERS
from dscreid.structures import Draw, Modality


@DATA_SAMPLERS.register_module()
class SequentialSampler(Sampler):
    """Draw all tracklets in dataset order; rank r of W draws r, r + W, ..., without padding or dropping.

    Draws are the same in every epoch, so that repeated feature extractions agree.

    Args:
        dataset: Any split.
        seed: The run's seed; None counts as 0.
    """

    def __init__(self, dataset: TrackletDataset, seed: int | None = 0) -> None:
        self.dataset = dataset
        self.seed = 0 if seed is None else int(seed)
        rank, world_size = get_dist_info()
        self._indices = np.arange(rank, len(dataset), world_size, dtype=np.int64)

    def __len__(self) -> int:
        """Draws on this rank."""
        return len(self._indices)

    def __iter__(self) -> Iterator[Draw]:
        """Yield this rank's draws."""
        return seeded_draws(self._indices, self.seed, 0, self._indices)


@DATA_SAMPLERS.register_module()
class ConsistentModalitySampler(Sampler):
    """Batch sampler that draws all visible tracklets, then all infrared ones, and never mixes them in a batch.

    Use it as ``batch_sampler=dict(type='ConsistentModalitySampler')`` together with
    ``sampler=dict(type='SequentialSampler')``.

    Args:
        sampler: A sampler with an attribute ``dataset``, whose draws are regrouped; or a dataset.
        batch_size: Tracklets per batch; the last batch of a modality may be smaller.
    """

    def __init__(self, sampler: Sampler | TrackletDataset, batch_size: int) -> None:
        if not isinstance(sampler, Sampler):
            sampler = SequentialSampler(sampler)
        dataset: Any = getattr(sampler, 'dataset', None)
        if not hasattr(dataset, 'indices'):
            raise ConfigError(
                f'ConsistentModalitySampler cannot regroup {type(sampler).__name__}; use SequentialSampler'
            )
        if batch_size < 1:
            raise ConfigError(f'ConsistentModalitySampler: batch_size must be at least 1, got {batch_size}')
        self.sampler = sampler
        self._dataset = dataset
        self.batch_size = batch_size

    def __len__(self) -> int:
        """Number of batches on this rank."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield batches."""
        visible = set(self._dataset.indices(Modality.RGB).tolist())
        for is_visible in (True, False):
            draws = [draw for draw in self.sampler if (draw.index in visible) == is_visible]
            for start in range(0, len(draws), self.batch_size):
                yield draws[start : start + self.batch_size]
