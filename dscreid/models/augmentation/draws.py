"""Random numbers for the augmentations, drawn on the CPU with one generator per tracklet and view.

The numbers of a tracklet depend only on its own seed and the view. The device, the number of loader workers and the
rest of the batch do not affect them.
"""

from collections.abc import Sequence

import numpy as np

# Positions of the uniform numbers of one draw. All numbers are always drawn, so enabling one augmentation does not
# change the draws of the others.
FLIP = 0
CROP = slice(1, 3)
VIEW = 3
CHANNEL = slice(4, 6)
JITTER = slice(6, 12)
ERASE_ATTEMPTS = 10
ERASE = slice(12, 13 + 4 * ERASE_ATTEMPTS)
NUM_UNIFORMS = ERASE.stop


def uniform_draws(seeds: Sequence[int], views: Sequence[int], num_draws: int) -> np.ndarray:
    """Draw uniform random numbers for each entry of a batch.

    Args:
        seeds: Seed of each entry, not negative (n values).
        views: View number of each entry, from 0 (n values).
        num_draws: Draws per tracklet: 1, or the number of frames if each frame has its own draw.

    Returns:
        float64 (n, num_draws, NUM_UNIFORMS) in [0, 1).
    """
    draws = np.empty((len(seeds), num_draws, NUM_UNIFORMS))
    for row, seed, view in zip(draws, seeds, views, strict=True):
        # view + 1 because NumPy pads the entropy with zeros: [seed, 0] would repeat the stream of the frame sampling.
        row[:] = np.random.default_rng([int(seed), view + 1]).random(row.shape)
    return draws
