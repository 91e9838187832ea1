"""Building blocks of the samplers: endless permutations, draws from a group, the share of a rank."""

from collections.abc import Iterator

import numpy as np

from dscreid.errors import ConfigError
from dscreid.structures import Draw, draw_seeds


class PermutationStream:
    """Stream of groups in random order, in which every group appears before any repeats, and never twice in a batch."""

    def __init__(self, num_groups: int, rng: np.random.Generator) -> None:
        self.num_groups = num_groups
        self.rng = rng
        self._queue: list[int] = []

    def take(self, count: int) -> list[int]:
        """Take the next ``count`` distinct groups, at most ``num_groups``.

        When a permutation is exhausted, a new one follows; its groups that are already taken wait for the next call.
        """
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


def draw_members(members: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``count`` members of a group, without replacement if it is large enough.

    Otherwise, draw every member once, in random order, and the rest with replacement.
    """
    if len(members) >= count:
        return rng.choice(members, count, replace=False)
    return np.concatenate([rng.permutation(members), rng.choice(members, count - len(members))])


def rank_share(visible: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """Positions of a global batch that belong to a rank; every rank gets the same number of each modality.

    Args:
        visible: bool (B,), whether the tracklet at a position is visible.
        rank: This rank.
        world_size: Number of ranks.

    Returns:
        int64 (B / world_size,), ascending: every ``world_size``-th position of each modality.

    Raises:
        ConfigError: If a modality cannot be divided equally.
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
    """Yield draws of dataset indices, int64 (n,), with a seed for each position in the epoch's global order."""
    seeds = draw_seeds(seed, epoch, positions)
    yield from map(Draw, indices.tolist(), seeds.tolist(), positions.tolist())
