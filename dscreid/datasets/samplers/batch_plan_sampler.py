"""Base class of the training samplers: a plan of global batches, divided among the ranks."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from dscreid.datasets.samplers.drawing import seeded_draws
from dscreid.errors import ConfigError
from dscreid.structures import Draw


class BatchPlanSampler(Sampler, ABC):
    """Sampler with a fixed number of batches per epoch that depend only on ``(seed, epoch)``.

    The global batches do not depend on the number of ranks; each rank takes its share of every batch.

    Args:
        share: int64 (batch_size,), this rank's positions in a global batch.
        global_batch_size: Draws per global batch.
        iterations: Batches per epoch.
        seed: The run's seed; None (MMEngine's ``diff_rank_seed``) counts as 0, because ranks must agree.

    Attributes:
        batch_size: Draws per batch on this rank.
        global_batch_size: Draws per batch on all ranks together.
    """

    def __init__(self, share: np.ndarray, global_batch_size: int, iterations: int, seed: int | None) -> None:
        if iterations < 1:
            raise ConfigError(f'{type(self).__name__}: iterations must be at least 1, got {iterations}')
        self.iterations = iterations
        self.seed = 0 if seed is None else int(seed)
        self.epoch = 0
        self._rests = False
        self._share = share
        self.global_batch_size = global_batch_size

    @property
    def batch_size(self) -> int:
        """Draws per batch on this rank."""
        return len(self._share)

    @classmethod
    def draws_per_batch(cls, settings: Mapping[str, Any]) -> int:
        """Return the draws of a global batch of the sampler that these arguments of a config describe."""
        defaults = {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}
        return cls._draws_per_batch(defaults | dict(settings))

    def __len__(self) -> int:
        """Draws per epoch on this rank."""
        return self.iterations * self.batch_size

    def __iter__(self) -> Iterator[Draw]:
        """Yield this rank's draws of the epoch set by ``set_epoch``; none after ``rest``."""
        if self._rests:
            return iter(())
        batches = self._plan(self.epoch)
        if batches.shape != (self.iterations, self.global_batch_size):
            raise RuntimeError(f'{type(self).__name__} planned batches of shape {batches.shape}')
        starts = np.arange(self.iterations, dtype=np.int64)[:, None] * self.global_batch_size
        positions = (starts + self._share).ravel()
        return seeded_draws(batches.ravel()[positions], self.seed, self.epoch, positions)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose draws ``iter`` yields next.

        Args:
            epoch: Zero-based epoch.
        """
        self.epoch = epoch

    def rest(self, rests: bool = True) -> None:
        """Stop drawing, so that epochs have no iterations, or resume with ``rests=False``."""
        self._rests = rests

    @staticmethod
    @abstractmethod
    def _draws_per_batch(settings: Mapping[str, Any]) -> int:
        """Compute the draws of a global batch from the constructor's arguments."""

    @abstractmethod
    def _plan(self, epoch: int) -> np.ndarray:
        """Plan the dataset indices of the epoch's global batches, int64 (iterations, global_batch_size)."""
