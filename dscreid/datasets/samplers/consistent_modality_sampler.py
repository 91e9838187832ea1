"""Batch sampler for evaluation with one modality per batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from dscreid.datasets.samplers.sequential_sampler import SequentialSampler
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.errors import ConfigError
from dscreid.registry import DATA_SAMPLERS
from dscreid.structures import Draw, Modality


@DATA_SAMPLERS.register_module()
class ConsistentModalitySampler(Sampler):
    """Batch sampler that draws all visible tracklets, then all infrared ones, and never mixes them in a batch.

    Use it as ``batch_sampler=dict(type='ConsistentModalitySampler')`` together with
    ``sampler=dict(type='SequentialSampler')``.

    Args:
        sampler: A sampler with an attribute ``dataset``, whose draws are regrouped; or a dataset, whose tracklets
            are all drawn.
        batch_size: Tracklets per batch; the last batch of a modality may be smaller.
        drop_last_like_reference: Reproduce a bug of BUPTCampus's reference code, to compare with old results: among
            the queries and among the other tracklets, leave out the last ``n mod batch_size`` visible ones, or all
            visible ones if the remainder is 0. Never use it to extract features for clustering.

    Raises:
        ConfigError: If the sampler has no dataset or the batch size is less than 1.
    """

    def __init__(
        self, sampler: Sampler | TrackletDataset, batch_size: int, drop_last_like_reference: bool = False
    ) -> None:
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
        self.drop_last_like_reference = drop_last_like_reference

    def __len__(self) -> int:
        """Number of batches on this rank."""
        return sum(-(-len(draws) // self.batch_size) for draws in self._draws_by_modality())

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield batches."""
        for draws in self._draws_by_modality():
            for start in range(0, len(draws), self.batch_size):
                yield draws[start : start + self.batch_size]

    def _draws_by_modality(self) -> list[list[Draw]]:
        visible = set(self._dataset.indices(Modality.RGB).tolist())
        dropped = self._dropped() if self.drop_last_like_reference else set()
        groups: dict[bool, list[Draw]] = {True: [], False: []}
        for draw in self.sampler:
            if draw.index not in dropped:
                groups[draw.index in visible].append(draw)
        return list(groups.values())

    def _dropped(self) -> set[int]:
        """Indices that the reference code leaves out, determined over the whole dataset."""
        visible = self._dataset.indices(Modality.RGB)
        is_query = np.array([self._dataset.tracklets[i].is_query for i in visible], dtype=bool)
        dropped: set[int] = set()
        for group in (visible[is_query], visible[~is_query]):
            remainder = len(group) % self.batch_size
            dropped.update(group[len(group) - remainder :].tolist() if remainder else group.tolist())
        return dropped
