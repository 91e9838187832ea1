"""The memories of both modalities: sharing, numbering, look-up and staging."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dscreid.errors import LabelingError
from dscreid.models.memories import TargetMemories
from dscreid.pseudo_labels import PseudoLabels
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
    memories, rgb, _ = build(
        pseudo_labels(shared=shared), cluster={'momentum': 0.0}, instance={'momentum': 0.0}
    )
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
