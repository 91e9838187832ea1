"""Seeds of the synthetic world. Everything drawn has its own generator, so the order does not matter."""

from collections.abc import Mapping
from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Purpose of a generator, the first element of its spawn key."""

    IDENTITY, CAMERA, WALK, FRAME, LENGTH, VIEW = range(6)


def generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Return the generator for one object of the world, independent of those with other keys.

    ``key`` are non-negative integers that identify the object, e.g. domain code, split code, person id.
    """
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(int(stream), *key))
    return np.random.Generator(np.random.PCG64(sequence))


def uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """Draw a float uniformly from ``bounds`` (low, high)."""
    return float(bounds[0] + (bounds[1] - bounds[0]) * rng.random())


def choose(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """Draw a key of ``weights`` with probability proportional to its value, using exactly one random number."""
    point = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        point -= weight
        if point < 0:
            return name
    return name
