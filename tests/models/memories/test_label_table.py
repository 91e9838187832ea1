"""Cluster numbers without gaps, and all that names clusters by them."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from dscreid.models.memories import number_clusters
from dscreid.pseudo_labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.structures import Modality

RGB, IR = Modality.RGB, Modality.IR


def ints(*values):
    return np.array(values, np.int64)


def soft(rows, weights=None):
    weights = np.ones(len(rows)) if weights is None else weights
    return SoftTargets(csr_array(np.array(rows, np.float32)), np.asarray(weights, np.float32))


def make(rgb=(0, 1, -1, 1), ir=(0, 0, 1), shared=False, **parts):
    return PseudoLabels(ints(*rgb), ints(*ir), shared, **parts)


def test_gaps_are_closed_in_each_modality():
    table = number_clusters(make(rgb=(5, 2, -1, 5), ir=(2, 2, 7)))
    assert table.own[RGB].tolist() == [1, 0, -1, 1]
    assert table.own[IR].tolist() == [0, 0, 1]
    assert not any([table.shared, table.cross, table.soft, table.cross_soft, table.groups, table.matches])


def test_shared_numbers_are_those_of_both():
    table = number_clusters(make(rgb=(5, 2, -1, 5), ir=(2, 2, 7), shared=True))
    assert table.own[RGB].tolist() == [1, 0, -1, 1]
    assert table.own[IR].tolist() == [0, 0, 2]


def test_all_parts_follow_the_new_numbers():
    table = number_clusters(
        make(
            rgb=(5, 2, -1, 5),
            ir=(2, 2, 7),
            cross=CrossLabels(ints(7, 2, -1, 7), ints(5, -1, 2)),
            matches=ints(2, 7, 5, 2).reshape(2, 2),
            groups={RGB: np.array([9, 9, 3, 9, 9, 4]), IR: np.arange(8)},
        )
    )
    assert table.cross[RGB].tolist() == [1, 0, -1, 1]
    assert table.cross[IR].tolist() == [1, -1, 0]
    assert table.matches.tolist() == [[0, 1], [1, 0]]
    assert table.groups[RGB].tolist() == [3, 4]
    assert table.groups[IR].tolist() == [2, 7]


def test_columns_of_soft_targets_follow():
    own = {
        RGB: soft([[0, 0, 0.25, 0, 0, 0.75]] * 4, [1, 0.5, 0, 0.25]),
        IR: soft([[0.0, 0, 1, 0, 0, 0, 0, 0]] * 3),
    }
    table = number_clusters(make(rgb=(5, 2, -1, 5), ir=(2, 2, 7), soft=own))
    targets, weights = table.soft[RGB].dense_rows(np.array([1, 3]))
    assert targets.tolist() == [[0.25, 0.75]] * 2
    assert weights.tolist() == [0.5, 0.25]
    assert targets.dtype == weights.dtype == np.float32
    assert table.soft[IR].dense_rows(np.array([2]))[0].tolist() == [[1, 0]]


def test_cross_soft_targets_have_the_other_modalitys_columns():
    cross_soft = {RGB: soft([[0, 0, 1.0, 0]] * 4), IR: soft([[0.5, 0.5]] * 3)}
    labels = make(ir=(2, 2, 3), cross=CrossLabels(ints(2, 3, -1, 3), ints(0, 0, 1), cross_soft))
    table = number_clusters(labels)
    assert table.cross_soft[RGB].dense_rows(np.array([0]))[0].tolist() == [[1, 0]]
    assert table.cross_soft[IR].dense_rows(np.array([0]))[0].tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        (dict(cross=CrossLabels(ints(0, 2, -1, 1), ints(0, 0, 0))), r'without members: \[2\]'),
        (dict(cross=CrossLabels(ints(0, 1), ints(0, 0, 0))), '2 rgb cross labels for 4 tracklets'),
        (dict(matches=ints(0, 9).reshape(1, 2)), r'matches of ir name clusters without members: \[9\]'),
        (dict(matches=ints(-1, 0).reshape(1, 2)), 'none of them -1'),
        (dict(matches=ints(0, 0)), 'pairs of clusters'),
        (dict(groups={RGB: ints(0), IR: ints(0, 0)}), '1 rgb groups for clusters up to 1'),
        (dict(soft={RGB: soft([[1.0]] * 4), IR: soft([[1.0, 0]] * 3)}), r'rgb soft targets are \(4, 1\)'),
        (dict(soft={RGB: soft([[1.0, 0]] * 3), IR: soft([[1.0, 0]] * 3)}), r'rgb soft targets are \(3, 2\)'),
        (dict(soft={RGB: soft([[0.5, 0, 0.5]] * 4), IR: soft([[1.0, 0]] * 3)}), 'share to clusters without'),
    ],
)
def test_parts_that_name_what_is_not_there(parts, message):
    with pytest.raises(ValueError, match=message):
        number_clusters(make(**parts))


def test_the_modality_of_the_centres_needs_a_member_in_each_cluster():
    labels = dict(rgb=(2, 2, -1, 5), ir=(2, 5, 5))
    assert number_clusters(make(**labels, shared=True, center_modality=IR)).center_modality is IR
    assert number_clusters(make(**labels, shared=True)).center_modality is None
    with pytest.raises(ValueError, match=r'ir members alone.*without: \[5\]'):
        number_clusters(make(rgb=(2, 2, -1, 5), ir=(2, 2, 2), shared=True, center_modality=IR))
    with pytest.raises(ValueError, match='need shared labels'):
        number_clusters(make(**labels, center_modality=IR))


def test_parts_that_exclude_each_other():
    cross = CrossLabels(ints(0, 1, -1, 1), ints(0, 0, 1))
    for parts in (dict(cross=cross), dict(matches=ints(0, 0).reshape(1, 2))):
        with pytest.raises(ValueError, match='join two numberings'):
            number_clusters(make(shared=True, **parts))
    groups, targets = {RGB: ints(0, 0), IR: ints(0, 0)}, {RGB: soft([[1.0, 0]] * 4), IR: soft([[1.0, 0]] * 3)}
    with pytest.raises(ValueError, match='exclude each other'):
        number_clusters(make(groups=groups, soft=targets))
