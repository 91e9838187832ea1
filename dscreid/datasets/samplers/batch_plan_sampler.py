"""Base class of the training samplers: a plan of global batches, divided among the ranks."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from dscreid.errors import ConfigError
from dscreid.registry import DATA_SAMPLERS
from dscreid.structures import Draw, draw_seeds


class BatchPlanSampler(Sampler, ABC):
    """Sampler whose global batches depend only on ``(seed, epoch)``; each rank takes its share of every batch.

    Args:
        layout: bool (B,), which draws of a global batch are visible; see :meth:`layout`.
        iterations: Batches per epoch.
        seed: The run's seed; None (MMEngine's ``diff_rank_seed``) counts as 0, because ranks must agree.
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
        """Draws per batch on this rank, which ``ReIDRunner`` gives to the data loader."""
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
    """``batch_size`` for the config of a sampler, None if it plans no batches; ConfigError if a setting is wrong."""
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


class PermutationStream:
    """Stream of groups in random order, in which every group appears before any repeats, and never twice in a batch."""

    def __init__(self, num_groups: int, rng: np.random.Generator) -> None:
        self.num_groups = num_groups
        self.rng = rng
        self._queue: list[int] = []

    def take(self, count: int) -> list[int]:
        """Take the next ``count`` distinct groups; those already taken wait when a new permutation begins."""
        if not 0 <= count <= self.num_groups:
            raise ValueError(f'cannot take {count} different groups of {self.num_groups}')
        taken, self._queue = self._queue[:count], self._queue[count:]
        if len(taken) < count:
            fresh = self.rng.permutation(self.num_groups).tolist()
            put_off = [group for group in fresh if group in taken]
            others = [group for group in fresh if group not in taken]
            missing = count - len(taken)
            taken, self._queue = taken + others[:missing], put_off + others[missing:]
        return taken


def plan_batches(
    iterations: int, num_groups: int, per_batch: int, rng: np.random.Generator, draw: Callable[[int], np.ndarray]
) -> np.ndarray:
    """Plan batches of ``per_batch`` groups, int64 (iterations, B); ``draw`` gives the members drawn from a group."""
    stream = PermutationStream(num_groups, rng)
    return np.stack([np.concatenate([draw(i) for i in stream.take(per_batch)]) for _ in range(iterations)])


def draw_members(members: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``count`` members of a group, each once before any repeats."""
    if len(members) >= count:
        return rng.choice(members, count, replace=False)
    return np.concatenate([rng.permutation(members), rng.choice(members, count - len(members))])


def draw_across_cameras(members: np.ndarray, cameras: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one member of a group, then ``count - 1`` from other cameras than its own, if the group has any.

    As the sampler of Cluster Contrast and its followers: without other cameras, the others are drawn from its own
    camera, and with replacement if there are fewer than needed. A group of one member repeats it.

    ``members``, int64 (n,), are under ``cameras``, int64 (n,).
    """
    first = rng.integers(len(members))
    others = members[cameras != cameras[first]]
    if not len(others):
        others = np.delete(members, first) if len(members) > 1 else members
    drawn = rng.choice(others, count - 1, replace=len(others) < count - 1)
    return np.concatenate([members[first : first + 1], drawn])


def rank_share(visible: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """A rank's positions in a global batch, int64 (B / world_size,), ascending: every ``world_size``-th per modality.

    ``visible``, bool (B,), tells the modality of each position; ConfigError if one cannot be divided equally.
    """
    shares = []
    for name, members in (('visible', visible), ('infrared', ~visible)):
        positions = np.flatnonzero(members)
        if len(positions) % world_size:
            raise ConfigError(
                f'{len(positions)} {name} tracklets per batch cannot be divided among {world_size} processes; make '
                f"the sampler's numbers give a multiple of {world_size}, or start another number of processes"
            )
        shares.append(positions[rank::world_size])
    return np.sort(np.concatenate(shares)).astype(np.int64)


def seeded_draws(indices: np.ndarray, seed: int, epoch: int, positions: np.ndarray) -> Iterator[Draw]:
    """Yield draws of dataset indices, int64 (n,), at positions of the epoch's global order, which give their seeds."""
    yield from map(Draw, indices.tolist(), draw_seeds(seed, epoch, positions).tolist(), positions.tolist())
