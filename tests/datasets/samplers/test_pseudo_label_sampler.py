from collections import Counter

import numpy as np
import pytest

from dscreid.datasets.samplers import PseudoLabelSampler
from dscreid.errors import ConfigError, LabelingError
from dscreid.structures import Modality

RGB = np.array([0, 0, 1, 1, 1, 1, 1, -1, 5, -1])
IR = np.array([2, 2, 2, 2, 0, 0, -1, 1, 1, 1, 3, 3, 3, 3, 3])


@pytest.fixture
def dataset(fake_dataset):
    """Ten visible and fifteen infrared tracklets, interleaved at the start."""
    order = ['rgb', 'ir'] * 10 + ['ir'] * 5
    return fake_dataset([(m, -1, 0, False) for m in order], labelled=False)


def labelled(dataset, rgb=RGB, ir=IR, **arguments):
    sampler = PseudoLabelSampler(dataset, **{'visible': (2, 3), 'infrared': (4, 2), 'iterations': 12, **arguments})
    sampler.set_labels(rgb, ir)
    return sampler


def batches(sampler):
    draws = list(sampler)
    assert len(draws) == len(sampler)
    return [draws[i : i + sampler.batch_size] for i in range(0, len(draws), sampler.batch_size)]


def label_table(dataset):
    table = dict(zip(dataset.indices('rgb').tolist(), RGB.tolist(), strict=True))
    return {**table, **dict(zip(dataset.indices('ir').tolist(), IR.tolist(), strict=True))}


def test_layout_of_a_batch(dataset, mmengine_build):
    sampler = mmengine_build.sampler(dataset, {'type': 'PseudoLabelSampler', 'visible': (2, 3), 'infrared': (4, 2)})
    assert (sampler.batch_size, len(sampler)) == (14, 2800)
    table, visible = label_table(dataset), set(dataset.indices('rgb').tolist())
    for batch in batches(labelled(dataset)):
        rows = [draw.index for draw in batch]
        assert [row in visible for row in rows] == [False] * 8 + [True] * 6
        infrared = np.array([table[row] for row in rows[:8]]).reshape(4, 2)
        seen = np.array([table[row] for row in rows[8:]]).reshape(2, 3)
        for clusters in (infrared, seen):
            assert (clusters == clusters[:, :1]).all()
            assert len(set(clusters[:, 0].tolist())) == len(clusters)
            assert clusters.min() >= 0


def test_a_rest_lasts_until_new_labels(dataset):
    sampler = labelled(dataset)
    first = list(sampler)
    sampler.rest()
    assert list(sampler) == []
    assert len(sampler) == len(first)  # schedules count on it
    sampler.set_labels(RGB, IR)
    assert list(sampler) == first


def test_members_are_drawn_without_replacement_where_possible(dataset):
    table = label_table(dataset)
    sizes = {('rgb', c): n for c, n in Counter(RGB.tolist()).items()}
    for batch in batches(labelled(dataset)):
        for start in (8, 11):
            rows = [draw.index for draw in batch[start : start + 3]]
            assert len(set(rows)) == min(3, sizes['rgb', table[rows[0]]])


def test_clusters_are_drawn_evenly(dataset):
    table = label_table(dataset)
    counts = Counter(table[d.index] for b in batches(labelled(dataset, infrared=(3, 1))) for d in b[:3])
    assert set(counts.values()) == {9}


def test_modalities_are_independent(dataset):
    one = batches(labelled(dataset))
    other = batches(labelled(dataset, ir=np.arange(15) % 5))
    assert [b[8:] for b in one] == [b[8:] for b in other]
    assert [b[:8] for b in one] != [b[:8] for b in other]


def test_equal_labels_are_drawn_differently_in_both_modalities(fake_dataset):
    dataset = fake_dataset([(m, -1, 0, False) for m in ('rgb', 'ir') for _ in range(30)], labelled=False)
    labels = np.arange(30) // 3
    sampler = labelled(dataset, labels, labels, visible=(3, 2), infrared=(3, 2))
    rows = np.array([[draw.index % 30 for draw in batch] for batch in batches(sampler)])
    assert (rows[:, :6] != rows[:, 6:]).any(axis=1).all()


def test_epochs_differ_and_repeat(dataset):
    sampler = labelled(dataset)
    first = list(sampler)
    sampler.set_epoch(4)
    later = list(sampler)
    assert [d.index for d in later] != [d.index for d in first]
    assert not {d.seed for d in later} & {d.seed for d in first}
    fresh = labelled(dataset)
    fresh.set_epoch(4)
    assert list(fresh) == later


def test_new_labels_take_effect_and_are_copied(dataset):
    sampler = labelled(dataset)
    rgb = np.array([-1] * 6 + [0, 0, 1, 1])
    sampler.set_labels(rgb, IR)
    rgb[:] = -1
    visible = dataset.indices('rgb')
    assert {d.index for b in batches(sampler) for d in b[8:]} == set(visible[6:].tolist())


def test_processes_share_the_global_batches(dataset, processes):
    alone = batches(labelled(dataset))
    for rank in range(2):
        processes(rank, 2)
        sampler = labelled(dataset)
        assert (sampler.batch_size, len(sampler)) == (7, 84)
        for whole, part in zip(alone, batches(sampler), strict=True):
            assert part == whole[rank:8:2] + whole[8 + rank :: 2]


def test_too_few_clusters(dataset):
    with pytest.raises(
        LabelingError, match=r'1 clusters of visible tracklets were found, but a batch asks for 2; .*eps'
    ):
        labelled(dataset, rgb=np.zeros(10, dtype=np.int64))
    with pytest.raises(LabelingError, match='0 clusters of infrared'):
        labelled(dataset, ir=np.full(15, -1))


def test_labels_must_fit_and_must_be_set(dataset):
    with pytest.raises(ValueError, match=r'10 visible tracklets need as many labels.*\(9,\)'):
        labelled(dataset, rgb=RGB[:9])
    with pytest.raises(LabelingError, match='no labels yet'):
        iter(PseudoLabelSampler(dataset))


def test_wrong_arguments(dataset, processes):
    with pytest.raises(ConfigError, match='both positive'):
        PseudoLabelSampler(dataset, visible=(0, 4))
    processes(0, 3)
    with pytest.raises(ConfigError, match='8 visible tracklets per batch cannot be divided among 3'):
        PseudoLabelSampler(dataset)


def test_every_second_batch_is_one_of_joint_clusters(dataset):
    joint = {Modality.RGB: np.array([4, 4, 4, 7, 7, 7, 9, -1, 9, -1]), Modality.IR: np.repeat([4, 7, 8, -1, 4], 3)}
    sizes = dict(visible=(2, 3), infrared=(2, 2), iterations=7)
    sampler = PseudoLabelSampler(dataset, **sizes, joint=True)
    sampler.set_labels(RGB, IR, joint)
    table = {int(row): label for m in joint for row, label in zip(dataset.indices(m), joint[m], strict=True)}
    own, plain = label_table(dataset), batches(labelled(dataset, **{**sizes, 'iterations': 4}))
    for number, batch in enumerate(batches(sampler)):
        rows, used = [draw.index for draw in batch], (table if number % 2 else own)
        for part in (np.array(rows[:4]).reshape(2, 2), np.array(rows[4:]).reshape(2, 3)):
            found = np.vectorize(used.get)(part)
            assert (found == found[:, :1]).all()
            assert set(found[:, 0]) <= ({4, 7} if number % 2 else set(own.values()) - {-1})
        if number % 2 == 0:  # as without joint clusters
            assert rows == [draw.index for draw in plain[number // 2]]


def test_joint_clusters_are_needed_and_must_be_enough(dataset):
    sampler = PseudoLabelSampler(dataset, visible=(2, 3), infrared=(2, 2), joint=True)
    with pytest.raises(ConfigError, match='joint=True needs a labeler with joint clusters, such as JointMatching'):
        sampler.set_labels(RGB, IR)
    with pytest.raises(LabelingError, match='0 joint clusters of infrared tracklets were found, but a batch asks'):
        sampler.set_labels(RGB, IR, {Modality.RGB: np.zeros(10, int), Modality.IR: np.arange(1, 16)})
    # a single one fills the batch
    joint = {Modality.RGB: np.zeros(10, int), Modality.IR: np.arange(15)}
    sampler.set_labels(RGB, IR, joint)
    second = [draw.index for draw in batches(sampler)[1]]
    assert set(second[:4]) == {int(dataset.indices(Modality.IR)[0])}


def test_positives_from_other_cameras(fake_dataset):
    # cluster 0: cameras 1, 1, 2, 2, 2; cluster 1: camera 3 only; cluster 2: a single tracklet
    cameras, labels = [1, 1, 2, 2, 2, 3, 3, 3, 4], np.array([0] * 5 + [1] * 3 + [2])
    dataset = fake_dataset([(m, -1, c, False) for m in ('rgb', 'ir') for c in cameras], labelled=False)
    sampler = PseudoLabelSampler(dataset, visible=(3, 3), infrared=(3, 3), iterations=20, other_cameras=True)
    sampler.set_labels(labels, labels)
    for batch in batches(sampler):
        for rows in np.array([draw.index for draw in batch]).reshape(6, 3) % 9:
            first, *others = dataset.cameras[rows]
            assert len({labels[row] for row in rows}) == 1
            if labels[rows[0]] == 0:
                assert first not in others
                assert rows[1] != rows[2] or first == 2  # with two members, camera 1 is enough without repeats
            elif labels[rows[0]] == 1:
                assert len(set(rows.tolist())) == 3
            else:
                assert (rows == 8).all()
