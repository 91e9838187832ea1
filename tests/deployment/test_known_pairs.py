import re
from datetime import datetime, timedelta
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.known_pairs import known_pairs
from dscreid.deployment.marks import make_mark
from dscreid.deployment.presence import presence_of
from dscreid.structures import Modality

START = datetime(2026, 3, 1)


def rows_of(count, persons=(), times=()):
    """Tracklets a, b, c, ... of one camera, some with persons or hours."""
    persons, times = dict(persons), dict(times)
    found = []
    for name in 'abcdefghijklmnop'[:count]:
        time = START + timedelta(hours=times[name]) if name in times else None
        row = TrackletRow(name, 'gate', Modality.RGB, start_time=time, end_time=time, person=persons.get(name, ''))
        found.append(row)
    return found


def marks_of(text):
    """Marks such as ``a=b c#d``: same and different people; X and Y are uploads."""
    found = []
    for one in text.split():
        query, answer = one[0], one[2]
        names = (f'upload-{query}' if query.isupper() else query, Modality.RGB), (answer, Modality.IR)
        found.append(make_mark(*names, one[1] == '=', 0.5, 'm'))
    return found


def known_of(rows, text=''):
    return known_pairs(rows, presence_of(rows), marks_of(text))


def pairs(known, kind):
    mask = known.same_person(slice(None)) if kind == '=' else known.different_people(slice(None))
    np.testing.assert_array_equal(mask, mask.T)
    return ' '.join(f'{"abcdefghijklmnop"[i]}{kind}{"abcdefghijklmnop"[j]}' for i, j in np.argwhere(np.triu(mask, 1)))


@pytest.mark.parametrize(
    ('marks', 'same', 'different'),
    [
        ('', '', ''),
        ('a=b', 'a=b', ''),
        ('a=b c=b', 'a=b a=c b=c', ''),
        ('a#b', '', 'a#b'),
        ('a=b c=d b#c', 'a=b c=d', 'a#c a#d b#c b#d'),
        ('X=a X=b Y=c X#d', 'a=b', 'a#d b#d'),
        ('X#a Y#a z=a z#b', '', 'a#b'),  # z is no tracklet of these
        ('a#b b#a c#b a=c', 'a=c', 'a#b b#c'),
    ],
)
def test_what_follows_from_marks(marks, same, different):
    known = known_of(rows_of(4), marks)
    assert (pairs(known, '='), pairs(known, '#')) == (same, different)
    assert known.contradictions == ()
    assert known.num_marks == (marks.count('='), marks.count('#'))


def test_persons_of_the_table_are_known_too():
    known = known_of(rows_of(5, persons={'a': 'p', 'b': 'p', 'c': 'q'}), 'd=a e#b')
    assert pairs(known, '=') == 'a=b a=d b=d'
    # of different persons, and by marks
    assert pairs(known, '#') == 'a#c a#e b#c b#e d#e'
    assert known.describe() == (
        '1 pairs are marked as the same person and 1 as different people; of these tracklets, 3 pairs are known to be '
        'one person and 3 marked to be different'
    )


@pytest.mark.parametrize(
    ('marks', 'facts', 'same', 'reason'),
    [
        ('a=b b=c a#c e=f', {}, 'e=f', 'a and c are marked as different people, but marks and table together make'),
        ('X=a X=b a#b', {}, '', r'no mark among these 3 tracklets and uploads is used; correct the wrong one'),
        ('a=c', {'persons': {'a': 'p', 'b': 'p', 'c': 'q'}}, 'a=b', 'a and c are different persons in the table'),
        ('a#b', {'persons': {'a': 'p', 'b': 'p'}}, 'a=b', 'a and b are marked as different people'),
        ('X=a X=b', {'times': {'a': 1, 'b': 1}}, '', r'a and b were seen by one camera .* or mark this pair itself'),
    ],
)
def test_contradictions_leave_the_marks_of_a_group_out(marks, facts, same, reason):
    known = known_of(rows_of(6, **facts), marks)
    assert pairs(known, '=') == same
    assert not known.marked_different.nnz
    (sentence,) = known.contradictions
    assert re.search(reason, sentence)


def test_an_overlapping_pair_that_is_marked_itself_is_believed():
    known = known_of(rows_of(3, times={'a': 1, 'b': 1, 'c': 2}), 'X=a X=b a=b')
    assert pairs(known, '=') == 'a=b'
    assert known.contradictions == ()


def test_marks_between_groups_count_although_one_group_is_contradictory():
    known = known_of(rows_of(5), 'a=b b=c a#c d=e a#d')
    assert (pairs(known, '='), pairs(known, '#')) == ('d=e', 'a#d a#e')
    assert len(known.contradictions) == 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from('abcdefXY'), st.sampled_from('abcdef')), max_size=12), st.integers(0, 99))
def test_true_marks_say_only_what_is_true_and_all_that_follows(edges, seed):
    rng = np.random.default_rng(seed)
    truth = dict(zip('abcdefXY', rng.integers(0, 3, 8).tolist(), strict=True))
    text = ' '.join(f'{one}{"=" if truth[one] == truth[other] else "#"}{other}' for one, other in edges if one != other)
    known = known_of(rows_of(6), text)
    assert known.contradictions == ()
    # closure by brute force, over tracklets and uploads
    same = {(one, one) for one in truth} | {(m[0], m[2]) for m in text.split() if m[1] == '='}
    same |= {(other, one) for one, other in same}
    for _ in truth:
        same |= {(a, d) for a, b in same for c, d in same if b == c}
    different = {(m[0], m[2]) for m in text.split() if m[1] == '#'}
    different |= {(other, one) for one, other in different}
    apart = {(a, d) for a, d in product(truth, truth) for b, c in different if (a, b) in same and (c, d) in same}
    for i, j in product(range(6), range(6)):
        pair = ('abcdef'[i], 'abcdef'[j])
        assert known.same_person(slice(i, i + 1))[0, j] == (pair in same)
        assert known.different_people(slice(i, i + 1))[0, j] == (pair in apart)
