"""Similarity thresholds of a bundle for wanted false-match rates."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.bundle import Bundle
from dscreid.deployment.presence import Presence
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality

#: Pairs of modalities, in either order.
PAIRS = ('rgb-rgb', 'ir-ir', 'rgb-ir')
#: How pairs of different people are known, in order of preference.
METHODS: Mapping[str, str] = MappingProxyType(
    {
        'persons': 'tracklets of different persons',
        'same_time': 'tracklets of one camera at the same time',
        'other_cameras': 'all tracklets of different cameras; conservative, because a few show one person',
    }
)
#: Methods that suit a pair of modalities.
_METHODS_OF = {'rgb-rgb': ('persons', 'same_time'), 'ir-ir': ('persons', 'same_time')}
_METHODS_OF['rgb-ir'] = ('persons', 'other_cameras')
#: Most pairs whose similarities are kept; of more, random ones.
MAX_PAIRS = 20_000_000
_BLOCK = 1024
#: Function that masks some pairs of tracklets: rows of a block to bool (len(rows), N).
Mask = Callable[[slice], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Threshold:
    """Similarity above which two tracklets match, for a false-match rate.

    Attributes:
        pair: One of ``PAIRS``.
        rate: Wanted false-match rate.
        threshold: Smallest similarity with at most that rate of false matches above it.
        low: Lower end of the threshold's confidence interval.
        high: Upper end.
        num_pairs: Number of pairs of different people.
        num_false_matches: Number of them above the threshold.
        method: How the pairs are known, one of ``METHODS``.
        true_match_rate: Share of pairs of the same person above the threshold; None without such pairs.
        num_true_pairs: Number of pairs of the same person; within a modality only those of different cameras.
    """

    pair: str
    rate: float
    threshold: float
    low: float
    high: float
    num_pairs: int
    num_false_matches: int
    method: str
    true_match_rate: float | None = None
    num_true_pairs: int = 0


@dataclass(frozen=True)
class Calibration:
    """Result of :func:`calibrate`.

    Attributes:
        confidence: Level of the intervals.
        thresholds: Thresholds that could be found, by pair of modalities and rate.
        refused: Why the others could not be found, a sentence each.
    """

    confidence: float
    thresholds: tuple[Threshold, ...]
    refused: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what a bundle stores."""
        return {'confidence': self.confidence, 'thresholds': [asdict(one) for one in self.thresholds]}


def pair_of(one: Modality | str, other: Modality | str) -> str:
    """Name the pair of two modalities, one of ``PAIRS``."""
    first, second = Modality(one), Modality(other)
    return f'{first.value}-{second.value}' if first is second else 'rgb-ir'


def threshold_for(bundle: Bundle, rate: float, pair: str) -> float:
    """Return the similarity above which two tracklets match, for a calibrated false-match rate.

    Args:
        bundle: A calibrated bundle.
        rate: False-match rate.
        pair: One of ``PAIRS``; see :func:`pair_of`.

    Raises:
        ConfigError: If the bundle is not calibrated for this pair and rate.
    """
    if pair not in PAIRS:
        raise ConfigError(f'the pair of modalities is {pair!r}; write {", ".join(PAIRS)}')
    known = known_thresholds(bundle, pair)
    for calibrated, threshold in known.items():
        if math.isclose(calibrated, rate, rel_tol=1e-9):
            return threshold
    rates = ', '.join(f'{one:g}' for one in known) or 'none'
    raise ConfigError(
        f'{bundle.folder}: not calibrated for a false-match rate of {rate:g} of {pair} (known rates: {rates}); run '
        f'dscreid calibrate {bundle.folder} FOLDER --rates {rate:g}'
    )


def known_thresholds(bundle: Bundle, pair: str) -> dict[float, float]:
    """Return the thresholds of a calibrated bundle by false-match rate; empty without calibration."""
    lines = (bundle.calibration or {}).get('thresholds', ())
    return {line['rate']: line['threshold'] for line in lines if line['pair'] == pair}


def needed_pairs(rate: float, confidence: float = 0.95) -> int:
    """Return the least number of independent pairs that bound a false-match rate.

    With fewer, not even the largest similarity is above the true threshold with the wanted confidence:
    ``(1 - rate) ** n > (1 - confidence) / 2``.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log1p(-rate))


def similarity_threshold(
    similarities: npt.NDArray[np.floating], rate: float, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Find the smallest threshold with at most ``rate`` of the similarities above it, and its interval.

    The interval is exact for independent pairs: the number of similarities above the true threshold is binomial, so
    two order statistics bound it (Clopper and Pearson, 1934, turned from the rate to the threshold).

    Args:
        similarities: (P,), of pairs of different people, in any order.
        rate: Wanted false-match rate, above 0 to 0.5.
        confidence: Level of the interval, between 0 and 1.

    Returns:
        The threshold, and the lower and upper end of its interval; all are values of ``similarities``.

    Raises:
        ConfigError: If the rate or the confidence is out of range.
        DatasetError: If there are too few pairs; says how many are needed.
    """
    check_rates([rate], confidence)
    count, needed = len(similarities), needed_pairs(rate, confidence)
    if count < needed:
        raise DatasetError(
            f'a false-match rate of {rate:g} needs {needed:,} pairs of different people, but there are {count:,}'
        )
    tail = (1 - confidence) / 2
    few = int(binom.ppf(tail, count, rate))
    few += int(binom.cdf(few, count, rate) <= tail)  # largest number with P(fewer above the threshold) <= tail
    many = int(binom.ppf(1 - tail, count, rate))
    allowed = int(rate * count) + 1
    while allowed / count > rate:
        allowed -= 1
    places = [count - 1 - place for place in (allowed, min(many, count - 1), max(few, 1) - 1)]
    ascending = np.partition(similarities, places)
    threshold, low, high = (float(ascending[place]) for place in places)
    return threshold, low, high


def calibrate(
    features: npt.NDArray[np.float32],
    rows: Sequence[TrackletRow],
    presence: Presence,
    rates: Sequence[float],
    confidence: float = 0.95,
) -> Calibration:
    """Find the thresholds of each pair of modalities.

    Pairs of different people are those of different ``person``. If these are too few for a rate, they are pairs of
    one camera, modality and time; across modalities all pairs of different cameras. A few of the latter show the same
    person, which raises the threshold: the false-match rate is then at most the stated one.

    With several tracklets per person the pairs are not independent, and the intervals are too narrow.

    Args:
        features: float32 (N, D), compared by inner product.
        rows: The N tracklets.
        presence: When they were in view.
        rates: Wanted false-match rates, each above 0 to 0.5.
        confidence: Level of the intervals, between 0 and 1.

    Raises:
        ConfigError: If a rate or the confidence is out of range.
        DatasetError: If no threshold can be found; says how many pairs the first one needs.
    """
    check_rates(rates, confidence)
    masks = _Masks(rows, presence)
    thresholds: list[Threshold] = []
    refused: list[str] = []
    for pair in PAIRS:
        genuine = _similarities(features, masks.same_person(pair))
        by_method = {
            method: _similarities(features, masks.different_people(pair, method)) for method in _METHODS_OF[pair]
        }
        for rate in sorted(set(rates), reverse=True):
            needed = needed_pairs(rate, confidence)
            enough = [method for method, found in by_method.items() if len(found) >= needed]
            method = enough[0] if enough else max(by_method, key=lambda one: len(by_method[one]))
            try:
                interval = similarity_threshold(by_method[method], rate, confidence)
            except DatasetError as error:
                refused.append(f'{pair}: {error} ({METHODS[method]})')
            else:
                thresholds.append(_threshold(pair, rate, interval, method, by_method[method], genuine))
    if not thresholds:
        raise DatasetError(f'{refused[0]}; add tracklets, name their persons, or choose a larger rate')
    return Calibration(confidence, tuple(thresholds), tuple(refused))


def check_rates(rates: Sequence[float], confidence: float) -> None:
    """Raise ConfigError if a false-match rate or the level of the intervals is out of range."""
    for rate in rates:
        if not 0 < rate <= 0.5:
            raise ConfigError(f'the false-match rate is {rate:g}; choose one above 0 to 0.5')
    if not 0 < confidence < 1:
        raise ConfigError(f'the confidence is {confidence:g}; choose one between 0 and 1')


def _threshold(
    pair: str,
    rate: float,
    interval: tuple[float, float, float],
    method: str,
    different: npt.NDArray[np.float32],
    same: npt.NDArray[np.float32],
) -> Threshold:
    threshold, low, high = interval
    return Threshold(
        pair=pair,
        rate=float(rate),
        threshold=threshold,
        low=low,
        high=high,
        num_pairs=len(different),
        num_false_matches=int((different > threshold).sum()),
        method=method,
        true_match_rate=float((same > threshold).mean()) if len(same) else None,
        num_true_pairs=len(same),
    )


class _Masks:
    """Masks of pairs of tracklets by block of rows; each pair is in one block only, in one order."""

    def __init__(self, rows: Sequence[TrackletRow], presence: Presence) -> None:
        self.presence = presence
        self.is_rgb = np.array([row.modality is Modality.RGB for row in rows], dtype=bool)
        self.camera = np.unique([row.camera for row in rows], return_inverse=True)[1]
        persons = sorted({row.person for row in rows} - {''})
        number = {name: i for i, name in enumerate(persons)}
        self.person = np.array([number.get(row.person, -1) for row in rows], dtype=np.int64)

    def different_people(self, pair: str, method: str) -> Mask:
        """Mask pairs of different people."""

        def mask(block: slice) -> npt.NDArray[np.bool_]:
            if method == 'persons':
                return self._of(pair, block) & self._named(block) & ~self._same(self.person, block)
            if method == 'same_time':
                return self._of(pair, block) & self.presence.together(block)
            return self._of(pair, block) & ~self._same(self.camera, block)

        return mask

    def same_person(self, pair: str) -> Mask:
        """Mask pairs of the same person; within a modality only those of different cameras."""

        def mask(block: slice) -> npt.NDArray[np.bool_]:
            found = self._of(pair, block) & self._named(block) & self._same(self.person, block)
            return found if pair == 'rgb-ir' else found & ~self._same(self.camera, block)

        return mask

    def _of(self, pair: str, block: slice) -> npt.NDArray[np.bool_]:
        """Mask the pairs of two modalities, with the lower row first."""
        first, second = self.is_rgb[block, None], self.is_rgb
        kind = {'rgb-rgb': first & second, 'ir-ir': ~first & ~second, 'rgb-ir': first != second}[pair]
        numbers = np.arange(len(self.is_rgb))
        return kind & (numbers[block, None] < numbers)

    def _named(self, block: slice) -> npt.NDArray[np.bool_]:
        return (self.person[block, None] >= 0) & (self.person >= 0)

    def _same(self, values: npt.NDArray[np.int64], block: slice) -> npt.NDArray[np.bool_]:
        return values[block, None] == values


def _similarities(features: npt.NDArray[np.float32], mask: Mask) -> npt.NDArray[np.float32]:
    """Compute the similarities of the pairs of a mask, float32 (P,); of many pairs, those of random ones."""
    total = sum(int(mask(block).sum()) for block in _blocks(len(features)))
    rng = np.random.default_rng(0)
    found: list[npt.NDArray[np.float32]] = [np.zeros(0, dtype=np.float32)]
    for block in _blocks(len(features)):
        chosen = mask(block)
        if total > MAX_PAIRS:
            chosen &= rng.random(chosen.shape, dtype=np.float32) < MAX_PAIRS / total
        if chosen.any():
            found.append(np.asarray((features[block] @ features.T)[chosen], dtype=np.float32))
    return np.concatenate(found)


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, _BLOCK):
        yield slice(start, min(start + _BLOCK, count))
