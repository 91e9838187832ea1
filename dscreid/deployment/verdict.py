"""The verdict on an adaptation without labels: measures before and after, and the rule that they decide by."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from dscreid.structures import Modality

HELPED, UNCLEAR, HARMED = 'probably helped', 'no clear change', 'probably harmed'
#: Printed with every verdict on tracklets that the adaptation has used.
CAVEAT_USED = (
    'Do not rely only on this verdict: the adaptation has used these tracklets, so it looks better than it is. Of 18 '
    'adaptations to rendered worlds, the verdict recognized 13 of 15 that helped, but called one of two that harmed '
    'helpful.'
)
#: Printed with every verdict on other tracklets.
CAVEAT_HELD_OUT = (
    'The adaptation has not used these tracklets. Of 36 adaptations to rendered worlds, judged by tracklets of people '
    'that the training had not seen, 16 had a clear verdict, none of which was wrong; 18 of the other 20 had helped.'
)
RULE = (
    'A measure is clearly better or worse if the 95% interval of its change excludes 0. Probably helped: cycle '
    'consistency is clearly better, different people are not clearly nearer, and no modality keeps fewer than half of '
    'its clusters. Probably harmed: cycle consistency is clearly worse, or different people are clearly nearer while '
    'it is not clearly better. Otherwise no clear change. Silhouettes do not count: they also fall when modalities '
    'are aligned. None of the measures can tell if people are consistently matched with the wrong people.'
)
#: Names of the measures that decide.
CYCLES, NEAR = 'cycle consistency', 'different people near'


@dataclass(frozen=True)
class Change:
    """A measure before and after, and the interval of its change; all NaN if it is undefined.

    Attributes:
        name: What is measured.
        higher_is_better: Whether an increase is an improvement.
        before: Value before the adaptation.
        after: Value after it.
        low: Lower bound of ``after - before``, from a bootstrap over clusters.
        high: Upper bound.
    """

    name: str
    higher_is_better: bool
    before: float
    after: float
    low: float
    high: float

    @property
    def direction(self) -> str:
        """``'better'``, ``'worse'``, ``'unclear'``, or ``'undefined'``."""
        if math.isnan(self.low) or math.isnan(self.high):
            return 'undefined'
        if self.low <= 0 <= self.high:
            return 'unclear'
        return 'better' if (self.low > 0) == self.higher_is_better else 'worse'


@dataclass(frozen=True)
class Comparison:
    """All measures, and the number of clusters of each modality before and after."""

    changes: tuple[Change, ...]
    clusters: Mapping[Modality, tuple[int, int]] = field(default_factory=dict)
    held_out: bool = False  #: whether the adaptation has not used the tracklets

    @property
    def caveat(self) -> str:
        """What a reader of the verdict must know."""
        return CAVEAT_HELD_OUT if self.held_out else CAVEAT_USED

    @property
    def verdict(self) -> str:
        """``HELPED``, ``UNCLEAR`` or ``HARMED`` by ``RULE``."""
        directions = {change.name: change.direction for change in self.changes}
        cycles, near = directions[CYCLES], directions[NEAR]
        collapsed = any(2 * after < before for before, after in self.clusters.values())
        if cycles == 'worse' or (near == 'worse' and cycles != 'better'):
            return HARMED
        if cycles == 'better' and near != 'worse' and not collapsed:
            return HELPED
        return UNCLEAR
