"""The memories of both modalities: sharing, numbering, look-up and staging."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array

from dscreid.errors import LabelingError
from dscreid.models.memories import TargetMemories
from dscreid.pseudo_labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.structures import Modality, TrackletFeatures

RGB_INDICES = np.array([10, 12, 14, 16])
IR_INDICES = np.array([11, 13, 15])


def unit_rows(seed, count, width=4):
    rows = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return F.normalize(rows, dim=1)


def features(seed, count):
    return TrackletFeatures(unit_rows(seed, count), unit_rows(seed + 100, count))


def pseudo_labels(rgb=(5, 2, -1, 5), ir=(2, 2, 7), shared=False):
    return PseudoLabels(np.array(rgb, np.int64), np.array(ir, np.int64), shared)


def build(labels=None, **keywords):
    memories = TargetMemories(**keywords)
    rgb, ir = features(0, 4), features(1, 3)
    memories.reset(rgb, ir, labels or pseudo_labels(), RGB_INDICES, IR_INDICES)
    return memories, rgb, ir


def mean(*rows):
    return F.normalize(torch.stack(rows).mean(0), dim=0)


def test_one_pair_per_modality_before_unification():
    memories, rgb, ir = build()
    visible = memories.cluster_memory(Modality.RGB)
    infrared = memories.cluster_memory(Modality.IR)
    assert visible is not infrared
    torch.testing.assert_close(visible.static, torch.stack([rgb.static[1], mean(*rgb.static[[0, 3]])]))
    torch.testing.assert_close(infrared.dynamic, torch.stack([mean(*ir.dynamic[:2]), ir.dynamic[2]]))


def test_one_shared_pair_after_unification():
    memories, rgb, ir = build(pseudo_labels(shared=True))
    shared = memories.cluster_memory(Modality.RGB)
    assert shared is memories.cluster_memory(Modality.IR)
    expected = [mean(rgb.static[1], *ir.static[:2]), mean(*rgb.static[[0, 3]]), ir.static[2]]  # 2, 5, 7
    torch.testing.assert_close(shared.static, torch.stack(expected))


def test_shared_centers_of_one_modality_alone():
    labels = PseudoLabels(np.array([7, 2, -1, 7]), np.array([2, 2, 7]), shared=True, center_modality=Modality.IR)
    memories, _, ir = build(labels)
    shared = memories.cluster_memory(Modality.RGB)
    assert shared is memories.cluster_memory(Modality.IR)
    torch.testing.assert_close(shared.static, torch.stack([mean(*ir.static[:2]), ir.static[2]]))
    assert memories.locate([RGB_INDICES[0], IR_INDICES[0]], ['rgb', 'ir']).labels.tolist() == [1, 0]


def test_clusters_of_one_modality_are_marked_if_asked_for():
    assert build(pseudo_labels(shared=True))[0].locate([10], ['rgb']).unpaired is None
    assert build(unpaired_negatives=False)[0].locate([10], ['rgb']).unpaired is None  # nothing is shared
    memories, *_ = build(pseudo_labels(shared=True), unpaired_negatives=False)
    assert memories.locate([10], ['rgb']).unpaired.tolist() == [0, 1, -1]  # labels 2, 5, 7
    more = pseudo_labels(rgb=(0, 1, 3, 3), ir=(2, 0, -1), shared=True)
    assert build(more, unpaired_negatives=False)[0].locate([10], ['rgb']).unpaired.tolist() == [0, 1, -1, 1]


def test_locate_finds_rows_labels_and_anchors():
    memories, _, _ = build()
    batch = memories.locate([13, 14, 10, 12], ['ir', 'rgb', 'rgb', 'rgb'])
    assert batch.rows.tolist() == [1, 2, 0, 1]
    assert batch.labels.tolist() == [0, -1, 1, 0]
    assert batch.visible.tolist() == [False, True, True, True]
    assert batch.members[Modality.RGB].tolist() == [1, 2, 3]
    assert batch.anchors[Modality.RGB].tolist() == [2, 3]
    assert batch.anchors[Modality.IR].tolist() == [0]


def test_instances_hold_every_tracklet():
    memories, rgb, ir = build()
    torch.testing.assert_close(memories.instance_memory(Modality.RGB).static, rgb.static)
    torch.testing.assert_close(memories.instance_memory(Modality.IR).dynamic, ir.dynamic)


@pytest.mark.parametrize('shared', [False, True])
def test_update_follows_the_batch_in_its_order(shared):
    memories, rgb, _ = build(pseudo_labels(shared=shared), cluster={'momentum': 0.0}, instance={'momentum': 0.0})
    infrared_before = memories.cluster_memory(Modality.IR).static.clone()
    static, dynamic = unit_rows(7, 4), unit_rows(8, 4)
    # tracklet 12 (visible, label 2) twice, 14 an outlier, 11 infrared with label 2
    batch = memories.locate([12, 14, 11, 12], ['rgb', 'rgb', 'ir', 'rgb'])
    memories.stage(static, dynamic, batch)
    memories.update()
    instances = memories.instance_memory(Modality.RGB).static
    torch.testing.assert_close(instances, torch.stack([rgb.static[0], static[3], static[1], rgb.static[3]]))
    torch.testing.assert_close(memories.instance_memory(Modality.IR).static[0], static[2])
    torch.testing.assert_close(memories.cluster_memory(Modality.RGB).static[0], static[3])
    expected = static[3] if shared else static[2]
    torch.testing.assert_close(memories.cluster_memory(Modality.IR).static[0], expected)
    torch.testing.assert_close(memories.cluster_memory(Modality.IR).static[1:], infrared_before[1:])


def test_each_sample_updates_a_shared_memory_once():
    memories, _, _ = build(pseudo_labels(shared=True), cluster={'momentum': 0.5})
    before = memories.cluster_memory(Modality.RGB).static[0].clone()
    query = unit_rows(7, 1)
    memories.stage(query, query, memories.locate([12], ['rgb']))
    memories.update()
    torch.testing.assert_close(memories.cluster_memory(Modality.IR).static[0], mean(before, query[0]))


def test_stage_needs_no_gradient_and_serves_once():
    memories, _, _ = build()
    batch = memories.locate([10], ['rgb'])
    memories.stage(torch.ones(1, 4, requires_grad=True), torch.ones(1, 4), batch)
    memories.update()
    with pytest.raises(RuntimeError, match='no features are staged'):
        memories.update()


def test_reset_with_another_number_of_clusters():
    memories, rgb, ir = build()
    memories.reset(rgb, ir, pseudo_labels((0, 0, 0, 0), (1, 1, 1), True), RGB_INDICES, IR_INDICES)
    assert len(memories.cluster_memory(Modality.RGB)) == 2
    assert not memories.state_dict()


def test_use_before_reset_is_explained():
    with pytest.raises(RuntimeError, match='call reset_memories'):
        TargetMemories().locate([0], ['rgb'])


def test_unknown_tracklet_is_named():
    memories, _, _ = build()
    with pytest.raises(ValueError, match=r"\(11, 'rgb'\)"):
        memories.locate([10, 11], ['rgb', 'rgb'])


def test_no_cluster_is_named_with_a_remedy():
    with pytest.raises(LabelingError, match='no ir tracklet has a pseudo label; loosen'):
        build(pseudo_labels(ir=(-1, -1, -1)))


def test_lengths_must_align():
    with pytest.raises(ValueError, match='must align'):
        build(pseudo_labels(rgb=(0, 1)))


def rich_labels(**parts):
    """Visible labels 5 2 -1 5 and infrared ones 2 2 7, numbered 1 0 -1 1 and 0 0 1 by the memories."""
    return PseudoLabels(np.array([5, 2, -1, 5], np.int64), np.array([2, 2, 7], np.int64), False, **parts)


def soft_targets(seed, rows, columns):
    """Random targets on the given columns of a matrix that is as wide as the largest one."""
    shares = np.zeros((rows, max(columns) + 1), np.float32)
    shares[:, columns] = np.random.default_rng(seed).dirichlet(np.ones(len(columns)), rows)
    return SoftTargets(csr_array(shares), np.linspace(0.1, 1, rows, dtype=np.float32))


CROSS = CrossLabels(np.array([7, 2, -1, 7], np.int64), np.array([5, -1, 2], np.int64))


def test_plain_labels_bring_nothing_more():
    memories, _, _ = build()
    batch = memories.locate([13, 10], ['ir', 'rgb'])
    assert [batch.cross, batch.soft, batch.cross_soft, batch.groups] == [None] * 4


def test_cross_labels_of_a_mixed_batch():
    memories, _, _ = build(rich_labels(cross=CROSS))
    batch = memories.locate([15, 16, 14, 13, 12, 11], ['ir', 'rgb', 'rgb', 'ir', 'rgb', 'ir'])
    assert batch.cross.tolist() == [0, 1, -1, -1, 0, 1]
    assert batch.cross_soft is None


def test_soft_targets_of_a_mixed_batch_are_rows_of_its_members():
    soft = {Modality.RGB: soft_targets(0, 4, [2, 5]), Modality.IR: soft_targets(1, 3, [2, 7])}
    cross_soft = {Modality.RGB: soft_targets(2, 4, [2, 7]), Modality.IR: soft_targets(3, 3, [2, 5])}
    cross = CrossLabels(CROSS.rgb, CROSS.ir, cross_soft)
    memories, _, _ = build(rich_labels(soft=soft, cross=cross))
    batch = memories.locate([15, 16, 11, 10], ['ir', 'rgb', 'ir', 'rgb'])
    for located, given, columns in (
        (batch.soft, soft, {Modality.RGB: [2, 5], Modality.IR: [2, 7]}),
        (batch.cross_soft, cross_soft, {Modality.RGB: [2, 7], Modality.IR: [2, 5]}),
    ):
        for modality, rows in ((Modality.RGB, [3, 0]), (Modality.IR, [2, 0])):
            expected = given[modality].probabilities.toarray()[rows][:, columns[modality]]
            np.testing.assert_array_equal(located[modality].targets, expected)
            np.testing.assert_array_equal(located[modality].weights, given[modality].weights[rows])
    only_infrared = memories.locate([13], ['ir'])
    assert only_infrared.soft[Modality.RGB].targets.shape == (0, 2)


def test_groups_of_the_clusters():
    groups = {Modality.RGB: np.array([0, 0, 4, 0, 0, 3]), Modality.IR: np.arange(8)}
    memories, _, _ = build(rich_labels(groups=groups))
    batch = memories.locate([10], ['rgb'])
    assert batch.groups[Modality.RGB].tolist() == [4, 3]
    assert batch.groups[Modality.IR].tolist() == [2, 7]


def test_matched_centers_are_aggregated_once_and_infrared_ones_stay():
    plain, _, _ = build(rich_labels())
    matches = np.array([[5, 2]])  # rows 1 and 0
    matched, _, _ = build(rich_labels(matches=matches))
    for half in ('static', 'dynamic'):
        visible, infrared = (getattr(plain.cluster_memory(m), half) for m in Modality)
        expected = torch.stack([visible[0], 0.1 * visible[1] + 0.9 * infrared[0]])
        torch.testing.assert_close(getattr(matched.cluster_memory(Modality.RGB), half), expected)
        assert torch.equal(getattr(matched.cluster_memory(Modality.IR), half), infrared)
    options = {'momentum': 0.5, 'both_ways': True, 'normalize': True}
    matched, _, _ = build(rich_labels(matches=matches), aggregation=options)
    middle = mean(plain.cluster_memory(Modality.RGB).static[1], plain.cluster_memory(Modality.IR).static[0])
    torch.testing.assert_close(matched.cluster_memory(Modality.RGB).static[1], middle)
    torch.testing.assert_close(matched.cluster_memory(Modality.IR).static[0], middle)


@pytest.mark.parametrize('crossed', [(), (Modality.RGB,), (Modality.IR,), tuple(Modality)])
def test_cross_update_lets_a_memory_follow_both_modalities(crossed):
    memories, _, _ = build(rich_labels(cross=CROSS), cross_update=True, cluster={'momentum': 0.5})
    expected = {m: memories.cluster_memory(m).static.clone() for m in Modality}
    static, dynamic = unit_rows(7, 4), unit_rows(8, 4)
    batch = memories.locate([10, 13, 11, 14], ['rgb', 'ir', 'ir', 'rgb'])  # cross labels 1, -1, 1, -1
    memories.stage(static, dynamic, batch, crossed)
    memories.update()
    if Modality.RGB in crossed:
        expected[Modality.IR][1] = mean(expected[Modality.IR][1], static[0])
    if Modality.IR in crossed:
        expected[Modality.RGB][1] = mean(expected[Modality.RGB][1], static[2])
    # own features write last: 10 has label 1, 13 and 11 have label 0
    expected[Modality.RGB][1] = mean(expected[Modality.RGB][1], static[0])
    expected[Modality.IR][0] = mean(mean(expected[Modality.IR][0], static[1]), static[2])
    for modality in Modality:
        torch.testing.assert_close(memories.cluster_memory(modality).static, expected[modality])


def test_without_cross_update_memories_keep_to_their_modality():
    results = []
    for crossed in ((), tuple(Modality)):
        memories, _, _ = build(rich_labels(cross=CROSS))
        memories.stage(unit_rows(7, 2), unit_rows(8, 2), memories.locate([10, 11], ['rgb', 'ir']), crossed)
        memories.update()
        results.append([memories.cluster_memory(m).static for m in Modality])
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


def test_centers_of_one_modality_in_a_shared_memory():
    labels = PseudoLabels(np.array([7, 2, -1, 7]), np.array([2, 2, 7]), True, center_modality=Modality.IR)
    memories, _, ir = build(labels)
    shared = memories.cluster_memory(Modality.RGB)
    assert shared is memories.cluster_memory(Modality.IR)
    torch.testing.assert_close(shared.static, torch.stack([mean(*ir.static[:2]), ir.static[2]]))
    lacking = PseudoLabels(np.array([5, 2, -1, 5]), np.array([2, 2, 7]), True, center_modality=Modality.IR)
    with pytest.raises(ValueError, match='5'):
        build(lacking)
