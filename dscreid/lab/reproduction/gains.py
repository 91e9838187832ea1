"""Gains over the best result without adaptation, world by world, with paired intervals."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scipy import stats

from dscreid.lab.reproduction.experiments import Row

MEASURE = 'mean/mAP'
LEVEL = 0.95
#: What any user has without adaptation: CD as it is ranked by default, CD ranked as VLD does, and CD with the necks'
#: statistics of the target.
REFERENCES = {
    'CD': (Row('CD', 'cd'), None),
    "CD, VLD's ranking": (Row('CD', 'cd'), 'vld'),
    'CD, necks of the target': (Row('AdaBN', 'adabn'), None),
}
#: A direction and a seed: the people and cameras of one experiment, which all rows share.
World = tuple[str, int]


class Reference(NamedTuple):
    """The best result without adaptation: its name, and its mAP in [0, 1] in each world."""

    name: str
    values: Mapping[World, float]


class Gain(NamedTuple):
    """Gains of a row over another in the worlds that both were run in, in mAP from -1 to 1; at least one."""

    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean gain over the worlds."""
        return statistics.fmean(self.differences)

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of Student's t for the mean gain. None for a single world."""
        return paired_interval(self.differences)

    @property
    def better(self) -> int:
        """In how many worlds there is a gain."""
        return sum(difference > 0 for difference in self.differences)

    @property
    def worlds(self) -> int:
        """Number of worlds."""
        return len(self.differences)

    @property
    def is_certain(self) -> bool:
        """Whether the interval excludes zero."""
        interval = self.interval
        return interval is not None and (interval[0] > 0 or interval[1] < 0)

    def __str__(self) -> str:
        """Format in percentage points, such as ``+4.5 (+1.2 to +7.8), 5 of 6``."""
        interval = self.interval
        bounds = '' if interval is None else ' ({:+.1f} to {:+.1f})'.format(*(100 * end for end in interval))
        return f'{100 * self.mean:+.1f}{bounds}, {self.better} of {self.worlds}'


def measured(card: Mapping[str, Any], ranking: str | None = None) -> float | None:
    """Return the mAP of a run card under a ranking (None: the run's own), or None if it was not measured."""
    metrics = card['metrics'] if ranking is None else card.get('rankings', {}).get(ranking, {})
    value = metrics.get(MEASURE, math.nan)
    return value if math.isfinite(value) else None


def best_reference(candidates: Mapping[str, Mapping[World, float]]) -> Reference | None:
    """Choose the candidate with the highest mean over the worlds of all candidates that have any; None if none has.

    One reference serves all rows and worlds, so that no row is compared with what happens to be best in its world.
    """
    known = {name: values for name, values in candidates.items() if values}
    if not known:
        return None
    shared = set.intersection(*(set(values) for values in known.values()))
    if not shared:
        name = next(iter(known))
        return Reference(name, known[name])
    name = max(known, key=lambda one: statistics.fmean(known[one][world] for world in sorted(shared)))
    return Reference(name, known[name])


def paired_gain(values: Mapping[World, float], reference: Mapping[World, float]) -> Gain | None:
    """Compare two results world by world; None if they share no world."""
    shared = sorted(values.keys() & reference.keys())
    return Gain(tuple(values[world] - reference[world] for world in shared)) if shared else None


def paired_interval(differences: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Return the interval of Student's t for the mean of differences, or None for fewer than two."""
    if len(differences) < 2:
        return None
    spread = statistics.stdev(differences) / math.sqrt(len(differences))
    reach = float(stats.t.ppf((1 + level) / 2, len(differences) - 1)) * spread
    mean = statistics.fmean(differences)
    return mean - reach, mean + reach
