"""Pairs of tracklets for a calibration: of different people, as far as this is known, and of the same person."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.known_pairs import KnownPairs
from dscreid.deployment.presence import Presence
from dscreid.structures import Modality

#: How pairs of different people are known, in order of preference.
METHODS: Mapping[str, str] = MappingProxyType(
    {
        'persons': 'tracklets of different persons',
        'same_time': 'tracklets of one camera at the same time',
        'other_cameras': 'all tracklets of different cameras; conservative, because a few show one person',
    }
)
#: Methods that suit a pair of modalities.
METHODS_OF = {'rgb-rgb': ('persons', 'same_time'), 'ir-ir': ('persons', 'same_time')}
METHODS_OF['rgb-ir'] = ('persons', 'other_cameras')
#: Maximum number of pairs whose similarities are kept; if there are more, a random sample is.
MAX_PAIRS = 20_000_000
_BLOCK = 1024
#: Function that masks some pairs of tracklets: rows of a block to bool (len(rows), N).
Mask = Callable[[slice], npt.NDArray[np.bool_]]


class Pairs(NamedTuple):
    """Pairs of different people.

    Attributes:
        similarity: float32 (P,), inner product of the features.
        known: bool (P,), whether a mark or the table says that they are different; the others are assumed to be.
        num_left_out: Number of pairs that are known to be one person.
    """

    similarity: npt.NDArray[np.float32]
    known: npt.NDArray[np.bool_]
    num_left_out: int


class PairFinder:
    """Finds pairs of N tracklets and computes their similarities.

    Args:
        features: float32 (N, D), compared by inner product.
        rows: The tracklets.
        presence: When they were in view.
        known: What is known of their pairs.
    """

    def __init__(
        self, features: npt.NDArray[np.float32], rows: Sequence[TrackletRow], presence: Presence, known: KnownPairs
    ) -> None:
        self.features, self.presence, self.known = features, presence, known
        self.is_rgb = np.array([row.modality is Modality.RGB for row in rows], dtype=bool)
        self.camera = np.unique([row.camera for row in rows], return_inverse=True)[1]

    def different_people(self, pair: str, method: str) -> Pairs:
        """Find pairs of different people by one of ``METHODS``, without those that are known to be one person."""
        if method == 'persons' and not self._has_persons:
            return Pairs(np.zeros(0, dtype=np.float32), np.zeros(0, dtype=bool), 0)

        def candidates(block: slice) -> npt.NDArray[np.bool_]:
            if method == 'persons':
                person = self.known.person
                return self._of(pair, block) & self._named(block) & (person[block, None] != person)
            seen = self.presence.together(block) if method == 'same_time' else ~self._same_camera(block)
            return self._of(pair, block) & seen

        return self._pairs(candidates, self.known.same_person)

    def same_person(self, pair: str) -> npt.NDArray[np.float32]:
        """Compute the similarities of pairs of one person of the table; within a modality, of different cameras.

        Marks are not used, because the most similar pairs are marked.
        """
        if not self._has_persons:
            return np.zeros(0, dtype=np.float32)

        def candidates(block: slice) -> npt.NDArray[np.bool_]:
            person = self.known.person
            found = self._of(pair, block) & self._named(block) & (person[block, None] == person)
            return found if pair == 'rgb-ir' else found & ~self._same_camera(block)

        return self._pairs(candidates, None).similarity

    @property
    def _has_persons(self) -> bool:
        return bool((self.known.person >= 0).any())

    def _of(self, pair: str, block: slice) -> npt.NDArray[np.bool_]:
        """Mask the pairs of two modalities, with the lower row first."""
        first, second = self.is_rgb[block, None], self.is_rgb
        kind = {'rgb-rgb': first & second, 'ir-ir': ~first & ~second, 'rgb-ir': first != second}[pair]
        numbers = np.arange(len(self.is_rgb))
        return kind & (numbers[block, None] < numbers)

    def _named(self, block: slice) -> npt.NDArray[np.bool_]:
        return (self.known.person[block, None] >= 0) & (self.known.person >= 0)

    def _same_camera(self, block: slice) -> npt.NDArray[np.bool_]:
        return self.camera[block, None] == self.camera

    def _pairs(self, candidates: Mask, excluded: Mask | None) -> Pairs:
        """Compute the similarities of the pairs of a mask; of a random sample if there are too many."""
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(self.features), _BLOCK)]
        total = sum(int(candidates(block).sum()) for block in blocks) if len(self.features) ** 2 > 2 * MAX_PAIRS else 0
        rng = np.random.default_rng(0)
        found: list[npt.NDArray[np.float32]] = [np.zeros(0, dtype=np.float32)]
        known: list[npt.NDArray[np.bool_]] = [np.zeros(0, dtype=bool)]
        num_left_out = 0
        for block in blocks:
            chosen = candidates(block)
            if excluded is not None:
                one_person = chosen & excluded(block)
                num_left_out += int(one_person.sum())
                chosen &= ~one_person
            if total > MAX_PAIRS:
                chosen &= rng.random(chosen.shape, dtype=np.float32) < MAX_PAIRS / total
            if chosen.any():
                found.append(np.asarray((self.features[block] @ self.features.T)[chosen], dtype=np.float32))
                known.append(self.known.different_people(block)[chosen])
        return Pairs(np.concatenate(found), np.concatenate(known), num_left_out)
