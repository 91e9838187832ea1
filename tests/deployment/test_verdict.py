"""The rule of the verdict on an adaptation, and what is said with it."""

import math

import pytest

from dscreid.deployment.verdict import CAVEAT_HELD_OUT, CAVEAT_USED, HARMED, HELPED, UNCLEAR, Change, Comparison
from dscreid.structures import Modality

NAMES = ('cycle consistency', 'silhouette, visible', 'different people near')


@pytest.mark.parametrize(
    ('directions', 'clusters', 'verdict'),
    [
        (('better', 'worse', 'unclear'), (10, 10), HELPED),
        (('better', 'unclear', 'better'), (10, 10), HELPED),
        (('better', 'better', 'undefined'), (10, 5), HELPED),
        (('better', 'better', 'unclear'), (10, 4), UNCLEAR),  # collapsed
        (('better', 'better', 'worse'), (10, 10), UNCLEAR),
        (('unclear', 'better', 'better'), (10, 10), UNCLEAR),
        (('undefined', 'better', 'better'), (10, 10), UNCLEAR),
        (('unclear', 'worse', 'unclear'), (10, 10), UNCLEAR),
        (('unclear', 'better', 'worse'), (10, 10), HARMED),
        (('undefined', 'better', 'worse'), (10, 10), HARMED),
        (('worse', 'better', 'better'), (10, 4), HARMED),
        (('worse', 'better', 'better'), (10, 10), HARMED),
    ],
)
def test_the_rule_of_the_verdict(directions, clusters, verdict):
    intervals = {'better': (0.1, 0.2), 'worse': (-0.2, -0.1), 'unclear': (-0.1, 0.1), 'undefined': (math.nan,) * 2}
    changes = []
    for name, direction in zip(NAMES, directions, strict=True):
        low, high = intervals[direction]
        if name == NAMES[2]:
            low, high = -high, -low
        changes.append(Change(name, name != NAMES[2], 0.0, 0.0, low, high))
        assert changes[-1].direction == direction
    for modality in Modality:
        others = {modality.other: (10, 10)}
        assert Comparison(tuple(changes), others | {modality: clusters}).verdict == verdict


def test_the_caveat_depends_on_the_tracklets():
    assert Comparison(()).caveat == CAVEAT_USED
    assert Comparison((), held_out=True).caveat == CAVEAT_HELD_OUT
