"""Published rules for sampling the frames of a tracklet, as pure functions.

Each takes the ``length`` of a tracklet and ``num_frames``, both at least 1, and gives ``num_frames`` positions in
[0, length), int64, ascending; random rules draw from ``rng``. The segment rules are from VLD and MITML on HITSZ-VCM,
the other two from AuxNet on BUPTCampus.
"""

import numpy as np


def _segments(length: int, num_frames: int) -> tuple[np.ndarray, int]:
    """Start positions of ``num_frames`` equal segments and their size, after padding to a multiple."""
    _check(length, num_frames)
    size = -(-length // num_frames)
    return np.arange(num_frames, dtype=np.int64) * size, size


def _check(length: int, num_frames: int) -> None:
    if length < 1 or num_frames < 1:
        raise ValueError(f'a tracklet and its sample need at least one frame, got {length} and {num_frames}')


def segment_first_frames(length: int, num_frames: int) -> np.ndarray:
    """Take the first frame of each of ``num_frames`` equal segments (HITSZ-VCM, test).

    The tracklet is padded to a multiple of ``num_frames`` by repeating its last frame.
    """
    starts, _ = _segments(length, num_frames)
    return np.minimum(starts, length - 1)


def segment_random_frames(length: int, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Take one random frame of each segment of :func:`segment_first_frames` (HITSZ-VCM, train)."""
    starts, size = _segments(length, num_frames)
    return np.minimum(starts + rng.integers(size, size=num_frames), length - 1)


def linspace_frames(length: int, num_frames: int) -> np.ndarray:
    """Take ``linspace(0, length, num_frames, endpoint=False)``, truncated to integers (BUPTCampus, test)."""
    _check(length, num_frames)
    return np.linspace(0, length, num_frames, endpoint=False).astype(np.int64)


def sorted_random_frames(length: int, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Take random frames in temporal order (BUPTCampus, train), with replacement if the tracklet is too short."""
    _check(length, num_frames)
    return np.sort(rng.choice(length, num_frames, replace=length < num_frames)).astype(np.int64)
