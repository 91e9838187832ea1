"""Pseudo labels: counts, checks, and numbers without gaps in everything that refers to clusters."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from dscreid.structures import CrossLabels, Modality, PseudoLabels, SoftTargets

RGB, IR = Modality.RGB, Modality.IR


def ints(*values):
    return np.array(values, np.int64)


def soft(rows, weights=None):
    weights = np.ones(len(rows)) if weights is None else weights
    return SoftTargets(csr_array(np.array(rows, np.float32)), np.asarray(weights, np.float32))


def make(rgb=(0, 1, -1, 1), ir=(0, 0, 1), shared=False, **parts):
    return PseudoLabels(ints(*rgb), ints(*ir), shared, **parts)


def test_gaps_are_closed_in_each_modality():
    table = make(rgb=(5, 2, -1, 5), ir=(2, 2, 7)).numbered()
    assert table.rgb.tolist() == [1, 0, -1, 1]
    assert table.ir.tolist() == [0, 0, 1]
    assert not any([table.shared, table.cross, table.soft, table.groups, table.matches])


def test_shared_numbers_are_those_of_both():
    table = make(rgb=(5, 2, -1, 5), ir=(2, 2, 7), shared=True).numbered()
    assert table.rgb.tolist() == [1, 0, -1, 1]
    assert table.ir.tolist() == [0, 0, 2]


def test_all_parts_follow_the_new_numbers():
    table = (
        make(
            rgb=(5, 2, -1, 5),
            ir=(2, 2, 7),
            cross=CrossLabels(ints(7, 2, -1, 7), ints(5, -1, 2)),
            matches=ints(2, 7, 5, 2).reshape(2, 2),
            partners=ints(-1, -1, 5, -1, -1, -1, -1, 2),
            groups={RGB: np.array([9, 9, 3, 9, 9, 4]), IR: np.arange(8)},
        )
    ).numbered()
    assert table.cross.rgb.tolist() == [1, 0, -1, 1]
    assert table.cross.ir.tolist() == [1, -1, 0]
    assert table.matches.tolist() == [[0, 1], [1, 0]]
    assert table.partners.tolist() == [1, 0]
    assert table.groups[RGB].tolist() == [3, 4]
    assert table.groups[IR].tolist() == [2, 7]


def test_columns_of_soft_targets_follow():
    own = {
        RGB: soft([[0, 0, 0.25, 0, 0, 0.75]] * 4, [1, 0.5, 0, 0.25]),
        IR: soft([[0.0, 0, 1, 0, 0, 0, 0, 0]] * 3),
    }
    table = make(rgb=(5, 2, -1, 5), ir=(2, 2, 7), soft=own).numbered()
    targets, weights = table.soft[RGB].dense_rows(np.array([1, 3]))
    assert targets.tolist() == [[0.25, 0.75]] * 2
    assert weights.tolist() == [0.5, 0.25]
    assert targets.dtype == weights.dtype == np.float32
    assert table.soft[IR].dense_rows(np.array([2]))[0].tolist() == [[1, 0]]


def test_cross_soft_targets_have_the_other_modalitys_columns():
    cross_soft = {RGB: soft([[0, 0, 1.0, 0]] * 4), IR: soft([[0.5, 0.5]] * 3)}
    labels = make(ir=(2, 2, 3), cross=CrossLabels(ints(2, 3, -1, 3), ints(0, 0, 1), cross_soft))
    table = labels.numbered()
    assert table.cross.soft[RGB].dense_rows(np.array([0]))[0].tolist() == [[1, 0]]
    assert table.cross.soft[IR].dense_rows(np.array([0]))[0].tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        (dict(cross=CrossLabels(ints(0, 2, -1, 1), ints(0, 0, 0))), r'without members: \[2\]'),
        (dict(cross=CrossLabels(ints(0, 1), ints(0, 0, 0))), '2 rgb cross labels for 4 tracklets'),
        (dict(matches=ints(0, 9).reshape(1, 2)), r'matches of ir name clusters without members: \[9\]'),
        (dict(matches=ints(-1, 0).reshape(1, 2)), 'none of them -1'),
        (dict(matches=ints(0, 0)), 'pairs of clusters'),
        (dict(partners=ints(0)), 'every infrared cluster up to 1 needs a visible partner'),
        (dict(partners=ints(0, -1)), 'needs a visible partner'),
        (dict(partners=ints(0, 2)), r'partners name clusters without members: \[2\]'),
        (dict(groups={RGB: ints(0), IR: ints(0, 0)}), '1 rgb groups for clusters up to 1'),
        (dict(soft={RGB: soft([[1.0]] * 4), IR: soft([[1.0, 0]] * 3)}), r'rgb soft targets are \(4, 1\)'),
        (dict(soft={RGB: soft([[1.0, 0]] * 3), IR: soft([[1.0, 0]] * 3)}), r'rgb soft targets are \(3, 2\)'),
        (dict(soft={RGB: soft([[0.5, 0, 0.5]] * 4), IR: soft([[1.0, 0]] * 3)}), 'share to clusters without'),
    ],
)
def test_parts_that_name_what_is_not_there(parts, message):
    with pytest.raises(ValueError, match=message):
        make(**parts).numbered()


def test_the_modality_of_the_centres_needs_a_member_in_each_cluster():
    labels = dict(rgb=(2, 2, -1, 5), ir=(2, 5, 5))
    assert make(**labels, shared=True, center_modality=IR).numbered().center_modality is IR
    assert make(**labels, shared=True).numbered().center_modality is None
    with pytest.raises(ValueError, match=r'center_modality=ir needs.*without: \[5\]'):
        make(rgb=(2, 2, -1, 5), ir=(2, 2, 2), shared=True, center_modality=IR).numbered()
    with pytest.raises(ValueError, match='needs shared labels'):
        make(**labels, center_modality=IR).numbered()


def test_labels_may_lack_clusters_that_have_centers():
    centers = {RGB: ints(5, 2, 7, -1), IR: ints(2, 9, 9)}
    table = make(rgb=(5, 5, 7, -1), ir=(9, 9, 9), center_labels=centers).numbered()
    assert (table.rgb.tolist(), table.ir.tolist()) == ([1, 1, 2, -1], [1, 1, 1])
    assert table.centers_of(RGB).tolist() == [1, 0, 2, -1]
    assert table.centers_of('ir').tolist() == [0, 1, 1]
    assert make().centers_of(RGB).tolist() == [0, 1, -1, 1]
    with pytest.raises(ValueError, match=r'rgb labels name clusters without members: \[4\]'):
        make(rgb=(5, 4, 7, -1), ir=(9, 9, 9), center_labels=centers).numbered()
    with pytest.raises(ValueError, match='4 rgb center labels for 3 tracklets'):
        make(rgb=(5, 5, 7), ir=(9, 9, 9), center_labels=centers).numbered()


def test_parts_that_exclude_each_other():
    cross = CrossLabels(ints(0, 1, -1, 1), ints(0, 0, 1))
    for parts in (dict(cross=cross), dict(matches=ints(0, 0).reshape(1, 2)), dict(partners=ints(0, 0))):
        with pytest.raises(ValueError, match='relate two numberings'):
            make(shared=True, **parts).numbered()
    groups, targets = {RGB: ints(0, 0), IR: ints(0, 0)}, {RGB: soft([[1.0, 0]] * 4), IR: soft([[1.0, 0]] * 3)}
    with pytest.raises(ValueError, match='cannot have both'):
        make(groups=groups, soft=targets).numbered()


def test_counts_and_summary():
    labels = PseudoLabels(rgb=ints(0, 0, 4, -1), ir=ints(0, 1, 2, 3, 4, -1), shared=True)
    assert labels.num_clusters(Modality.RGB) == 2
    assert labels.num_clusters('ir') == 5
    assert labels.labelled_share(Modality.RGB) == 0.75
    assert labels.cluster_sizes(Modality.RGB).tolist() == [2, 1]
    summary = labels.summary()
    assert 'rgb 2 clusters of median size 1.5, 75.0% of 4 tracklets labeled' in summary
    assert labels.unified_share(Modality.RGB) == 0.75
    assert labels.unified_share('ir') == pytest.approx(2 / 6)
    assert summary.endswith('one shared numbering, 75.0% of rgb with a label of ir')
    undecided = PseudoLabels(rgb=ints(0, 5, 5, -1), ir=labels.ir, shared=True)
    assert undecided.unified_share(Modality.RGB) == 0.25


def test_nothing_labelled():
    labels = PseudoLabels(rgb=ints(), ir=ints(-1, -1), shared=False)
    assert labels.num_clusters(Modality.IR) == 0
    assert labels.labelled_share(Modality.RGB) == 0
    assert 'ir 0 clusters, 0.0% of 2 tracklets labeled; separate numberings' in labels.summary()
    assert labels.unified_share(Modality.RGB) == 0
    assert PseudoLabels(rgb=ints(0), ir=ints(0), shared=False).unified_share(Modality.RGB) == 0


def test_refuses_badints():
    with pytest.raises(TypeError, match='rgb labels'):
        PseudoLabels(rgb=np.zeros(3), ir=ints(0), shared=False)
    with pytest.raises(TypeError, match='ir labels'):
        PseudoLabels(rgb=ints(0), ir=[0], shared=False)
    with pytest.raises(ValueError, match='>= -1'):
        PseudoLabels(rgb=ints(-2), ir=ints(0), shared=False)
