"""Tracklets that an index lists more than once."""

import numpy as np

from dscreid.datasets import HITSZVCM, BUPTCampus
from dscreid.datasets.records import describe_repeats, first_rows, repeated_rows
from dscreid.structures import Modality, Tracklet


def record(frames, camera=0, is_query=False, pid=None):
    return Tracklet(tuple(frames), Modality.IR, camera, pid, is_query)


def test_rows_and_phrases():
    tracklets = [
        record('ab'),
        record('cd'),
        record('ab'),
        record('ab', is_query=True),
        record('ab', camera=1),
    ]
    assert first_rows(tracklets).tolist() == [0, 1, 0, 0, 0]
    assert repeated_rows(tracklets) == {2: 0}  # neither another role nor another camera
    wheres = [f'/data/list.txt:{line}' for line in range(1, 6)]
    assert describe_repeats({2: 0}, wheres, np.array([7, 1, 7, 7, 7])) == ('list.txt:3 repeats list.txt:1',)
    [phrase] = describe_repeats({2: 0}, wheres, np.array([7, 1, 8, 7, 7]))
    assert phrase.endswith('with another person id')


def test_a_repeated_line_of_hitsz_counts_once(worlds, logged):
    root = worlds.hitsz(pictures=True)
    info = root / 'info/track_train_info.txt'
    before = HITSZVCM(root, 'train', expected_statistics=None)
    info.write_text(info.read_text() + info.read_text().splitlines()[4] + '\n')
    for labelled in (True, False):
        dataset = HITSZVCM(root, 'train', expected_statistics=None, labelled=labelled)
        assert [t.frames for t in dataset.tracklets] == [t.frames for t in before.tracklets]
        assert dataset.repeats == ('track_train_info.txt:13 repeats track_train_info.txt:5',)
    assert len(dataset.read_ground_truth()) == 12
    assert 'track_train_info.txt:13 repeats track_train_info.txt:5' in logged[-1]


def test_lists_of_bupt(worlds, logged):
    root = worlds.bupt()
    query, gallery = root / 'query.txt', root / 'gallery.txt'
    first = query.read_text().splitlines()[0]
    number = len(gallery.read_text().splitlines())
    gallery.write_text(gallery.read_text() + f'{first}\n{first}\n')
    dataset = BUPTCampus(root, 'test', expected_statistics=None)
    assert dataset.repeats == (f'gallery.txt:{number + 2} repeats gallery.txt:{number + 1}',)
    [twin] = np.flatnonzero(dataset.same_as != np.arange(len(dataset)))
    own = dataset.tracklets[dataset.same_as[twin]]
    assert (own.is_query, dataset.tracklets[twin].is_query) == (True, False)
    assert own.frames == dataset.tracklets[twin].frames
    assert dataset.wheres[twin] == f'{gallery}:{number + 1}'
    assert BUPTCampus(root, 'test', expected_statistics=None, labelled=False).wheres is None
