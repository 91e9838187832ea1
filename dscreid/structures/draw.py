"""One draw of a sampler: a tracklet, the seed of all its randomness, and its position in the epoch."""

from typing import NamedTuple

import numpy as np


class Draw(NamedTuple):
    """A dataset index with its own seed, so that results do not depend on which worker loads it.

    Attributes:
        index: Position of the tracklet in the dataset.
        seed: Non-negative integer below 2**63 that seeds frame sampling and augmentation of this draw.
        position: Position in the epoch's global order of draws, used to merge the shares of several processes.
    """

    index: int  # type: ignore[assignment]  # tuple.index, never called on a draw
    seed: int
    position: int = 0


def draw_seeds(seed: int, epoch: int, positions: np.ndarray) -> np.ndarray:
    """Compute the seeds of the draws at the given positions of an epoch.

    Applies SplitMix64 (Steele et al., 2014) to a key of (seed, epoch) and to the position, without a state.

    Args:
        seed: The run's seed, non-negative.
        epoch: Zero-based epoch.
        positions: int64 (n,), positions in the *global* order of draws.

    Returns:
        int64 (n,), values in [0, 2**63).
    """
    key = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    with np.errstate(over='ignore'):
        z = key + (positions.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(1)).astype(np.int64)
