"""Similarity thresholds of a bundle for wanted false-match rates."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.bundle import Bundle
from dscreid.deployment.calibration_pairs import METHODS, METHODS_OF, PairFinder, Pairs
from dscreid.deployment.known_pairs import KnownPairs, known_pairs
from dscreid.deployment.presence import Presence
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality

#: Pairs of modalities, in either order.
PAIRS = ('rgb-rgb', 'ir-ir', 'rgb-ir')


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
        num_left_out: Number of pairs that ``method`` would take for different people, although marks or the table say
            that they are one person.
        num_known: Number of the false matches that are different people according to marks or the table. The others
            are assumed to be different people; if some are not, the threshold is too high.
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
    num_left_out: int = 0
    num_known: int = 0


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
        raise ConfigError(f'the pair of modalities is {pair!r}; use one of {", ".join(PAIRS)}')
    known = known_thresholds(bundle, pair)
    for calibrated, threshold in known.items():
        if math.isclose(calibrated, rate, rel_tol=1e-9):
            return threshold
    rates = ', '.join(f'{one:g}' for one in known) or 'none'
    raise ConfigError(
        f'{bundle.folder}: not calibrated for a false-match rate of {rate:g} for {pair} (known rates: {rates}); run '
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
    two order statistics bound it (Clopper and Pearson, 1934, applied to the threshold instead of the rate).

    Args:
        similarities: (P,), of pairs of different people, in any order.
        rate: Wanted false-match rate, above 0 and at most 0.5.
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
    known: KnownPairs | None = None,
) -> Calibration:
    """Find the thresholds of each pair of modalities.

    Pairs of different people are those of different ``person``. If there are too few of these for a rate, pairs of
    one camera, modality and time are used, or, across modalities, all pairs of different cameras. A few of the latter
    show the same person, which raises the threshold: the false-match rate is then at most the stated one.

    Pairs that are known to be one person are left out. Marks change nothing else: pairs that are marked as different
    people are the most similar ones, and would raise the thresholds.

    With several tracklets per person the pairs are not independent, and the intervals are too narrow.

    Args:
        features: float32 (N, D), compared by inner product.
        rows: The N tracklets.
        presence: When they were in view.
        rates: Wanted false-match rates, each above 0 and at most 0.5.
        confidence: Level of the intervals, between 0 and 1.
        known: What is known of pairs; None to know only the persons of the table.

    Raises:
        ConfigError: If a rate or the confidence is out of range.
        DatasetError: If no threshold can be found; says how many pairs the first one needs.
    """
    check_rates(rates, confidence)
    finder = PairFinder(features, rows, presence, known or known_pairs(rows, presence))
    thresholds: list[Threshold] = []
    refused: list[str] = []
    for pair in PAIRS:
        genuine = finder.same_person(pair)
        by_method = {method: finder.different_people(pair, method) for method in METHODS_OF[pair]}
        for rate in sorted(set(rates), reverse=True):
            needed = needed_pairs(rate, confidence)
            counts = {method: len(found.similarity) for method, found in by_method.items()}
            method = next(
                (one for one, count in counts.items() if count >= needed), max(counts, key=counts.__getitem__)
            )
            try:
                interval = similarity_threshold(by_method[method].similarity, rate, confidence)
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
            raise ConfigError(f'the false-match rate is {rate:g}; choose one above 0 and at most 0.5')
    if not 0 < confidence < 1:
        raise ConfigError(f'the confidence is {confidence:g}; choose one between 0 and 1')


def _threshold(
    pair: str,
    rate: float,
    interval: tuple[float, float, float],
    method: str,
    different: Pairs,
    same: npt.NDArray[np.float32],
) -> Threshold:
    threshold, low, high = interval
    return Threshold(
        pair=pair,
        rate=float(rate),
        threshold=threshold,
        low=low,
        high=high,
        num_pairs=len(different.similarity),
        num_false_matches=int((different.similarity > threshold).sum()),
        method=method,
        true_match_rate=float((same > threshold).mean()) if len(same) else None,
        num_true_pairs=len(same),
        num_left_out=different.num_left_out,
        num_known=int(different.known[different.similarity > threshold].sum()),
    )
