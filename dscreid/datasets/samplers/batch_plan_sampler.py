"""Base class of the training samplers: a plan of global batches, divided among the ranks."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from dscreid.datasets.samplers.drawing import rank_share, seeded_draws
from dscreid.errors import ConfigError
from dscreid.registry import DATA_SAMPLERS
from dscreid.structures import Draw


class BatchPlanSampler(Sampler, ABC):
    """Sampler with a fixed number of batches per epoch that depend only on ``(seed, epoch)``.

    The global batches do not depend on the number of ranks; each rank takes its share of every batch.

    Args:
        layout: bool (B,), which draws of a global batch are visible; see :meth:`layout`.
        iterations: Batches per epoch.
        seed: The run's seed; None (MMEngine's ``diff_rank_seed``) counts as 0, because ranks must agree.

    Attributes:
        batch_size: Draws per batch on this rank; ``ReIDRunner`` gives it to the data loader.
        global_batch_size: Draws per batch on all ranks together.
    """

    def __init__(self, layout: np.ndarray, iterations: int, seed: int | None) -> None:
        if iterations < 1:
            raise ConfigError(f'{type(self).__name__}: iterations must be at least 1, got {iterations}')
        self.iterations = iterations
        self.seed = 0 if seed is None else int(seed)
        self.epoch = 0
        self._rests = False
        self._share = rank_share(layout, *get_dist_info())
        self.global_batch_size = len(layout)

    @staticmethod
    @abstractmethod
    def layout(*args: Any, **kwargs: Any) -> np.ndarray:
        """Return which draws of a global batch are visible, bool (B,), for those arguments of the constructor."""

    @property
    def batch_size(self) -> int:
        """Draws per batch on this rank."""
        return len(self._share)

    def __len__(self) -> int:
        """Draws per epoch on this rank."""
        return self.iterations * self.batch_size

    def __iter__(self) -> Iterator[Draw]:
        """Yield this rank's draws of the epoch set by ``set_epoch``; none after ``rest``."""
        if self._rests:
            return iter(())
        batches = self._plan(self.epoch)
        starts = np.arange(self.iterations, dtype=np.int64)[:, None] * self.global_batch_size
        positions = (starts + self._share).ravel()
        return seeded_draws(batches.ravel()[positions], self.seed, self.epoch, positions)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, zero-based, whose draws ``iter`` yields next."""
        self.epoch = epoch

    def rest(self, rests: bool = True) -> None:
        """Stop drawing, so that epochs have no iterations, or resume with ``rests=False``."""
        self._rests = rests

    @abstractmethod
    def _plan(self, epoch: int) -> np.ndarray:
        """Plan the dataset indices of the epoch's global batches, int64 (iterations, global_batch_size)."""


def planned_batch_size(sampler: Any) -> int | None:
    """Return the draws per batch on this rank for a sampler's config; None if the sampler does not plan batches.

    Raises:
        ConfigError: If a setting is out of range or does not fit the number of processes.
    """
    kind = DATA_SAMPLERS.get(str(sampler.get('type'))) if isinstance(sampler, Mapping) else None
    if not (isinstance(kind, type) and issubclass(kind, BatchPlanSampler)):
        return None
    defaults = inspect.signature(kind).parameters
    names = inspect.signature(kind.layout).parameters
    try:
        layout = kind.layout(**{name: sampler.get(name, defaults[name].default) for name in names})
    except (TypeError, ValueError) as error:
        raise ConfigError(f'{kind.__name__} cannot be made of its values in the config: {error}') from error
    return len(rank_share(layout, *get_dist_info()))
