"""Tracklets, sequences of person crops from one camera in one modality, and a sampler's draws of them."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np


class Modality(str, Enum):
    """Spectrum of a tracklet; its values are the names used in configs, logs and results."""

    RGB = 'rgb'
    IR = 'ir'

    @property
    def other(self) -> 'Modality':
        """The opposite modality."""
        return Modality.IR if self is Modality.RGB else Modality.RGB


@dataclass(frozen=True, slots=True)
class Tracklet:
    """One record of a dataset's index.

    Attributes:
        frames: Image paths in temporal order, relative to the dataset's root, with ``/`` as separator.
        modality: Visible or infrared.
        camera: Original camera number of the dataset.
        pid: Original person id of the dataset; ``None`` in an unlabeled split or if the person is unknown.
        is_query: Whether the official protocol lists the tracklet as a query (only in test splits).
    """

    frames: tuple[str, ...]
    modality: Modality
    camera: int
    pid: int | None = None
    is_query: bool = False

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)


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
    """Compute the seeds, int64 (n,) in [0, 2**63), of the draws at ``positions``, int64 (n,), in an epoch's order.

    Applies SplitMix64 (Steele et al., 2014) to a key of (seed, epoch) and to the position.
    """
    key = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    with np.errstate(over='ignore'):
        z = key + (positions.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(1)).astype(np.int64)
