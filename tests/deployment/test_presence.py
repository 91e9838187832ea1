import json
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.presence import presence_of
from dscreid.errors import DatasetError
from dscreid.structures import Modality

START = datetime(2026, 3, 1, 8, 30)


def row(name, start=None, end=None, camera='gate', modality='rgb', zone=None):
    times = [None if one is None else START.replace(tzinfo=zone) + timedelta(seconds=one) for one in (start, end)]
    return TrackletRow(name, camera, Modality(modality), name, (), *times)


def listed(presence):
    """The listed pairs as a matrix."""
    together = np.zeros((len(presence.view), len(presence.view)), dtype=int)
    for one, other in presence.pairs().tolist():
        together[one, other] += 1
        together[other, one] += 1
    return together.tolist()


def pairs(rows, root=None):
    together = presence_of(rows, root).together()
    assert (together == together.T).all()
    assert listed(presence_of(rows, root)) == together.tolist()
    return {(rows[i].tracklet, rows[j].tracklet) for i, j in np.argwhere(np.triu(together)).tolist()}


def test_tracklets_of_one_camera_modality_and_time_are_together():
    rows = [row('a', 0, 10), row('b', 10, 20), row('c', 10.5, 11), row('d', 0, 99, camera='yard')]
    rows += [row('e', 0, 99, modality='ir'), row('f'), row('g', 5), row('h', None, 5)]
    assert pairs(rows) == {('a', 'b'), ('b', 'c'), ('a', 'g'), ('a', 'h'), ('g', 'h')}
    assert presence_of(rows).known.tolist() == [True] * 5 + [False, True, True]


def test_zones_are_respected_and_not_mixed():
    east = timezone(timedelta(hours=2))
    rows = [row('a', 0, 10, zone=timezone.utc), row('b', 7205, 7215, zone=east), row('c', 0, 10, zone=east)]
    assert pairs(rows) == {('a', 'b')}
    with pytest.raises(DatasetError, match='d: the time has no time zone, but other times have one'):
        presence_of([*rows, row('d', 0, 10)])


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.sampled_from(['x', 'y'])), max_size=9), st.data())
def test_blocks_agree_with_a_loop(spans, data):
    presence = presence_of([row(str(i), start, start + length, one) for i, (start, length, one) in enumerate(spans)])
    expected = [
        [
            i != j and a[2] == b[2] and bool(set(range(a[0], a[0] + a[1] + 1)) & set(range(b[0], b[0] + b[1] + 1)))
            for j, b in enumerate(spans)
        ]
        for i, a in enumerate(spans)
    ]
    assert listed(presence) == expected
    begin = data.draw(st.integers(0, len(spans)))
    assert presence.together(slice(begin, begin + 3)).tolist() == expected[begin : begin + 3]


def test_without_times_the_frames_of_a_converted_video_count(tmp_path):
    (tmp_path / '.converted').mkdir()
    for video, spans in {'gate_rgb/a': [(1, 5), (5, 9), (6, 9)], 'gate_rgb/b': [(1, 9)]}.items():
        names = [f'{video}_{number:05d}' for number in range(len(spans))]
        record = dict(name=video, made_from={}, num_frames=9, num_boxes=9, num_crops=9, left_out={}, splits=0)
        record['tracklets'] = [dict(tracklet=name, camera='gate', modality='rgb', folder=name) for name in names]
        path = tmp_path / '.converted' / video.replace('/', '__')
        path.with_suffix('.json').write_text(json.dumps(record))
        boxes = [f'{frame},{i},0,0,9,9,1,-1,-1,-1' for i, span in enumerate(spans) for frame in span]
        path.with_suffix('.boxes.txt').write_text('\n'.join(boxes))
    names = ['gate_rgb/a_00000', 'gate_rgb/a_00001', 'gate_rgb/a_00002', 'gate_rgb/b_00000']
    rows = [row(name) for name in names]
    assert pairs(rows, tmp_path) == {(names[0], names[1]), (names[1], names[2])}
    assert pairs(rows) == set()
    assert pairs([*rows[:1], row(names[1], 0, 9)], tmp_path) == set()  # a time and a frame cannot be compared
    (tmp_path / '.converted/gate_rgb__a.boxes.txt').unlink()
    with pytest.raises(DatasetError, match='the boxes of gate_rgb/a are missing; convert into a new folder'):
        presence_of(rows, tmp_path)
