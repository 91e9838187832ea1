"""Seeded draws of numbers, names and surfaces. Everything has its own generator, so the order does not matter."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

# Visible colors, RGB in [0, 1].
COLORS: dict[str, tuple[float, float, float]] = {
    'black': (0.09, 0.09, 0.10), 'charcoal': (0.24, 0.25, 0.27), 'grey': (0.50, 0.50, 0.50),
    'white': (0.90, 0.90, 0.88), 'navy': (0.10, 0.14, 0.33), 'blue': (0.16, 0.34, 0.72),
    'sky': (0.50, 0.70, 0.88), 'red': (0.74, 0.13, 0.14), 'wine': (0.38, 0.09, 0.16),
    'pink': (0.88, 0.56, 0.64), 'orange': (0.88, 0.46, 0.12), 'yellow': (0.90, 0.78, 0.22),
    'green': (0.16, 0.46, 0.22), 'olive': (0.36, 0.37, 0.20), 'teal': (0.10, 0.48, 0.50),
    'purple': (0.40, 0.22, 0.52), 'brown': (0.40, 0.26, 0.15), 'beige': (0.78, 0.68, 0.52),
}  # fmt: skip

# Contrast between the lit core and the shadow side of a material: how it shows in visible light.
MATERIAL_SHEEN: dict[str, float] = {
    'cotton': 0.10, 'denim': 0.14, 'wool': 0.05, 'polyester': 0.22, 'nylon': 0.34, 'leather': 0.45,
    'skin': 0.12, 'hair': 0.20,
}  # fmt: skip


class Stream(IntEnum):
    """Purpose of a generator, the first element of its spawn key."""

    IDENTITY, CAMERA, WALK, FRAME, LENGTH, VIEW, FAULT = range(7)


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


@dataclass(frozen=True)
class Surface:
    """The surface of one part of a person."""

    color: str  #: name in ``COLORS``. Determines the infrared behavior of the dye.
    rgb: tuple[float, ...]  #: visible color: red, green and blue in [0, 1]
    material: str  #: name in ``MATERIAL_SHEEN``
    dye: float  #: infrared deviation of this item from others of its kind, about N(0, 1)


def draw_surface(rng: np.random.Generator, colors: Mapping[str, float], materials: Mapping[str, float]) -> Surface:
    """Draw a color close to a named one, and a material, by their weights. Several people share colors."""
    name = choose(rng, colors)
    material = choose(rng, materials)
    value = np.asarray(COLORS[name]) * (1 + 0.10 * rng.standard_normal()) + 0.015 * rng.standard_normal(3)
    return Surface(name, tuple(np.clip(value, 0.02, 0.98).tolist()), material, float(rng.standard_normal()))
