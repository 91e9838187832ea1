"""Pairs of tracklets that one sensor saw at the same time, against brute force."""

from datetime import datetime, timedelta, timezone

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dscreid.deployment.different_people import different_people

NOON = datetime(2026, 3, 1, 12)
spans = st.tuples(st.integers(0, 2), st.sampled_from(['rgb', 'ir']), st.integers(0, 20), st.integers(0, 6))


@given(st.lists(spans, max_size=25))
def test_pairs_at_the_same_time(rows):
    times = [(NOON + timedelta(seconds=start), NOON + timedelta(seconds=start + last)) for *_, start, last in rows]
    found = different_people(np.array([row[0] for row in rows]), [row[1] for row in rows], times)
    expected = {
        frozenset((i, j))
        for i in range(len(rows))
        for j in range(i)
        if rows[i][:2] == rows[j][:2] and times[i][0] <= times[j][1] and times[j][0] <= times[i][1]
    }
    assert len(found) == len(expected)
    assert {frozenset(pair) for pair in found.tolist()} == expected


def test_pairs_need_times_that_can_be_compared():
    aware = NOON.replace(tzinfo=timezone.utc)
    times = [(None, None), (NOON, None), (NOON, NOON), (aware, aware), (aware, None)]
    found = different_people(np.zeros(5, int), ['rgb'] * 5, times)
    assert sorted(map(sorted, found.tolist())) == [[1, 2], [3, 4]]


def test_many_pairs_are_sampled():
    times = [(NOON, NOON)] * 60
    found = different_people(np.zeros(60, int), ['rgb'] * 60, times, most=100)
    assert len({frozenset(pair) for pair in found.tolist()}) == 100
    np.testing.assert_array_equal(found, different_people(np.zeros(60, int), ['rgb'] * 60, times, most=100))
