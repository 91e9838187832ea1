"""Pure pieces of the samplers: endless permutations, drawing members of a group, a rank's share."""

from collections.abc import Iterator

import numpy as np

from dscreid.errors import ConfigError
from dscreid.structures import Draw, draw_seeds


class PermutationStream:
    """Groups in random order, each once before any comes again, and never twice in one batch.

    Args:
        num_groups: Number of groups.
        rng: Source of the permutations.
    """

    def __init__(self, num_groups: int, rng: np.random.Generator) -> None:
        self.num_groups = num_groups
        self.rng = rng
        self._queue: list[int] = []

    def take(self, count: int) -> list[int]:
        """Next groups.

        Args:
            count: How many, at most ``num_groups``.

        Returns:
            Different group numbers. A permutation that runs out is followed by a fresh one, of which the
            groups already in this batch are put off to the next.
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
    """Draw members of a group.

    Args:
        members: int64 (n,), at least one.
        count: How many to draw.
        rng: Source of randomness.

    Returns:
        int64 (count,). Without replacement if the group is large enough; otherwise every member once, in
        random order, and the rest with replacement.
    """
    if len(members) >= count:
        return rng.choice(members, count, replace=False)
    return np.concatenate([rng.permutation(members), rng.choice(members, count - len(members))])


def rank_share(visible: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """Positions of a global batch that belong to a rank: as many of each modality as every other rank has.

    Equal shares keep all ranks equally busy, also where modalities enter a batch in different numbers of views or
    pass through layers of their own.

    Args:
        visible: bool (B,), whether the tracklet at a position is visible.
        rank: This rank.
        world_size: Number of ranks.

    Returns:
        int64 (B / world_size,), ascending: of each modality's positions every ``world_size``-th, from the ``rank``-th
        on.

    Raises:
        ConfigError: A modality cannot be divided equally.
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
    """Draws with their own seeds.

    Args:
        indices: int64 (n,), dataset indices.
        seed: The run's seed.
        epoch: Zero-based epoch.
        positions: int64 (n,), positions in the epoch's global order of draws.

    Yields:
        n draws.
    """
    seeds = draw_seeds(seed, epoch, positions)
    yield from map(Draw, indices.tolist(), seeds.tolist(), positions.tolist())
