"""Random numbers of the augmentations: drawn on the CPU, one generator per tracklet and view.

What a tracklet gets depends on its own seed alone, so neither the device, nor the number of loader workers,
nor the other members of its batch change it.
"""

from collections.abc import Sequence

import numpy as np

# Places of the uniform numbers of one draw. Every number is drawn whether it is used or not, so that
# switching one augmentation on leaves the draws of the others as they were.
FLIP = 0
CROP = slice(1, 3)
VIEW = 3
CHANNEL = slice(4, 6)
JITTER = slice(6, 12)
ERASE_ATTEMPTS = 10
ERASE = slice(12, 13 + 4 * ERASE_ATTEMPTS)
NUM_UNIFORMS = ERASE.stop


def uniform_draws(seeds: Sequence[int], views: Sequence[int], num_draws: int) -> np.ndarray:
    """Uniform random numbers of each entry of a batch.

    Args:
        seeds: Seed of each tracklet's draw, non-negative (n entries).
        views: Number of the view for which the tracklet enters the batch, from 0 (n entries).
        num_draws: Draws per tracklet: 1, or the number of frames when each frame has its own.

    Returns:
        float64 (n, num_draws, NUM_UNIFORMS) in [0, 1).
    """
    draws = np.empty((len(seeds), num_draws, NUM_UNIFORMS))
    for row, seed, view in zip(draws, seeds, views, strict=True):
        # view + 1: numpy pads entropy with zeros, so [seed, 0] would repeat the stream of the frame sampling.
        row[:] = np.random.default_rng([int(seed), view + 1]).random(row.shape)
    return draws
