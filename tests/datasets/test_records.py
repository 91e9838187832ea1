import re

import pytest

from dscreid.datasets.records import (
    differences_from_published,
    index_fingerprint,
    split_statistics,
    statistics_table,
)
from dscreid.structures import Modality, Tracklet

TRACKLETS = [
    Tracklet(('a', 'b', 'c'), Modality.RGB, 1, 5),
    Tracklet(('d',), Modality.RGB, 2, 5),
    Tracklet(('e', 'f'), Modality.IR, 1, 6, is_query=True),
]


def test_statistics_count_each_modality():
    statistics = split_statistics(TRACKLETS)
    visible, infrared, everything = (statistics[key] for key in ('rgb', 'ir', 'all'))
    assert (visible.identities, visible.tracklets, visible.frames, visible.cameras) == (1, 2, 4, 2)
    assert (visible.shortest, visible.longest, visible.queries) == (1, 3, 0)
    assert (infrared.identities, infrared.queries) == (1, 1)
    assert (everything.identities, everything.tracklets, everything.frames, everything.cameras) == (
        2,
        3,
        6,
        2,
    )


def test_statistics_of_nothing():
    assert split_statistics([])['all'].tracklets == 0
    assert split_statistics([])['rgb'].longest == 0


def test_table_aligns_its_columns():
    lines = statistics_table(split_statistics(TRACKLETS)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].split() == ['all', '2', '3', '1', '6', '2', '1-3']


@pytest.mark.parametrize(
    'change',
    [
        lambda t: Tracklet(('x', *t.frames[1:]), t.modality, t.camera, t.pid, t.is_query),
        lambda t: Tracklet(t.frames, t.modality.other, t.camera, t.pid, t.is_query),
        lambda t: Tracklet(t.frames, t.modality, 9, t.pid, t.is_query),
        lambda t: Tracklet(t.frames, t.modality, t.camera, 9, t.is_query),
        lambda t: Tracklet(t.frames, t.modality, t.camera, None, t.is_query),
        lambda t: Tracklet(t.frames, t.modality, t.camera, t.pid, not t.is_query),
    ],
)
def test_fingerprint_sees_every_fact(change):
    print_of = index_fingerprint(TRACKLETS)
    assert re.fullmatch('[0-9a-f]{16}', print_of)
    assert index_fingerprint(list(TRACKLETS)) == print_of
    assert index_fingerprint([change(TRACKLETS[0]), *TRACKLETS[1:]]) != print_of
    assert index_fingerprint(TRACKLETS[::-1]) != print_of


def test_differences():
    published = {'a': 5, 'b': 7, 'c': (10, 20), 'd': (10, 20), 'absent': 1}
    found = differences_from_published({'a': 5, 'b': 1234, 'c': 20, 'd': 9}, published)
    assert found == ['b: 1,234 found, 7 published', 'd: 9 found, 10 to 20 published']
