"""Sampler that draws every tracklet once, in order."""

from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from dscreid.datasets.samplers.drawing import seeded_draws
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.registry import DATA_SAMPLERS
from dscreid.structures import Draw


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
