"""Published rules for sampling the frames of a tracklet, as pure functions.

The segment rules are from VLD and MITML on HITSZ-VCM, the other two from AuxNet on BUPTCampus.
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

    Args:
        length: Frames of the tracklet, at least 1.
        num_frames: Frames to take, at least 1.

    Returns:
        int64 (num_frames,), positions in [0, length), ascending.
    """
    starts, _ = _segments(length, num_frames)
    return np.minimum(starts, length - 1)


def segment_random_frames(length: int, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Take one random frame of each of ``num_frames`` equal segments (HITSZ-VCM, train).

    The tracklet is padded as in :func:`segment_first_frames`.

    Args:
        length: Frames of the tracklet, at least 1.
        num_frames: Frames to take, at least 1.
        rng: Source of randomness; advanced by ``num_frames`` draws.

    Returns:
        int64 (num_frames,), positions in [0, length), ascending.
    """
    starts, size = _segments(length, num_frames)
    return np.minimum(starts + rng.integers(size, size=num_frames), length - 1)


def linspace_frames(length: int, num_frames: int) -> np.ndarray:
    """Take ``linspace(0, length, num_frames, endpoint=False)``, truncated to integers (BUPTCampus, test).

    Args:
        length: Frames of the tracklet, at least 1.
        num_frames: Frames to take, at least 1.

    Returns:
        int64 (num_frames,), positions in [0, length), ascending.
    """
    _check(length, num_frames)
    return np.linspace(0, length, num_frames, endpoint=False).astype(np.int64)


def sorted_random_frames(length: int, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Take random frames in temporal order (BUPTCampus, train).

    Args:
        length: Frames of the tracklet, at least 1.
        num_frames: Frames to take, at least 1; if more than ``length``, they are drawn with replacement.
        rng: Source of randomness.

    Returns:
        int64 (num_frames,), positions in [0, length), ascending.
    """
    _check(length, num_frames)
    return np.sort(rng.choice(length, num_frames, replace=length < num_frames)).astype(np.int64)
