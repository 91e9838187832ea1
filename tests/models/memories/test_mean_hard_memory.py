"""RPNR's memories against loops: two centers per cluster, averages of matched centers, centers of other labels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dscreid.models.memories import MeanHardMemory, TargetMemories, hybrid_centers
from dscreid.models.memories.feature_memory import batch_means
from dscreid.pseudo_labels import CrossLabels, PseudoLabels
from dscreid.registry import MODELS
from dscreid.structures import Modality, TrackletFeatures

RGB, IR = Modality


def rows(seed, count, width=5):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def ints(*values):
    return np.array(values, np.int64)


def updated_by_loops(mean, hard, values, labels, momentum):
    """Both centers of each cluster after one batch."""
    mean, hard, old = mean.clone(), hard.clone(), mean.clone()
    for cluster in sorted(set(labels.tolist()) - {-1}):
        members = [F.normalize(value, dim=0) for value, label in zip(values, labels, strict=True) if label == cluster]
        hardest = min(members, key=lambda member: float(member @ old[cluster]))
        mean[cluster] = F.normalize(momentum * mean[cluster] + (1 - momentum) * sum(members) / len(members), dim=0)
        hard[cluster] = F.normalize(momentum * hard[cluster] + (1 - momentum) * hardest, dim=0)
    return mean, hard


def test_both_centers_begin_as_the_mean_of_the_members():
    features, labels = TrackletFeatures(3 * rows(0, 5), rows(1, 5)), torch.tensor([1, 0, -1, 1, 0])
    memory = MODELS.build({'type': 'MeanHardMemory'})
    assert len(memory) == 0
    memory.reset(features, labels, 2)
    unit = F.normalize(features.static, dim=1)
    expected = F.normalize(torch.stack([unit[[1, 4]].mean(0), unit[[0, 3]].mean(0)]), dim=1)
    assert len(memory) == 2
    torch.testing.assert_close(memory.static, torch.stack([expected, expected]))
    torch.testing.assert_close(memory.features().static, expected)
    torch.testing.assert_close(memory.features(torch.tensor([1])).static, expected[1:])


@pytest.mark.parametrize('momentum', [0.0, 0.1, 0.9, 1.0])
@pytest.mark.parametrize('seed', range(3))
def test_updates_equal_those_of_loops(seed, momentum):
    memory = MeanHardMemory(momentum=momentum)
    memory.reset(TrackletFeatures(rows(seed, 8), rows(seed + 1, 8)), torch.arange(8) % 4, 4)
    for step in range(3):  # from the second on, both centers differ
        static, dynamic = rows(seed + 10 * step, 9), rows(seed + 10 * step + 5, 9)
        labels = torch.tensor([2, 0, 2, -1, 2, 0, -1, 1, 2])
        expected = [
            torch.stack(updated_by_loops(*half, values, labels, momentum))
            for half, values in ((memory.static, static), (memory.dynamic, dynamic))
        ]
        memory.update(static, dynamic, labels)
        torch.testing.assert_close(memory.static, expected[0])
        torch.testing.assert_close(memory.dynamic, expected[1])
    assert torch.equal(memory.static[0], memory.static[1]) is (momentum == 1)


@pytest.mark.parametrize('labels', [[], [-1, -1]])
def test_a_batch_without_labels_changes_nothing(labels):
    memory = MeanHardMemory()
    memory.reset(TrackletFeatures(rows(0, 3), rows(1, 3)), torch.arange(3), 3)
    before = memory.static.clone()
    memory.update(rows(2, len(labels)), rows(3, len(labels)), torch.tensor(labels, dtype=torch.int64))
    assert torch.equal(memory.static, before)


def test_means_of_a_batch_stand_at_the_first_member():
    values, labels = rows(0, 5), torch.tensor([3, -1, 3, 0, -1])
    means, kept = batch_means(values, labels)
    assert kept.tolist() == [3, -1, -1, 0, -1]
    torch.testing.assert_close(means[0], (values[0] + values[2]) / 2)
    torch.testing.assert_close(means[3], values[3])


@pytest.mark.parametrize('normalize', [True, False])
def test_hybrid_centers_are_averages_of_pairs(normalize):
    visible, infrared, partners = rows(0, 3), rows(1, 4), [2, 0, 2, 1]
    expected = torch.stack([(visible[partners[i]] + infrared[i]) / 2 for i in range(4)])
    expected = F.normalize(expected, dim=1) if normalize else expected
    torch.testing.assert_close(hybrid_centers(visible, infrared, torch.tensor(partners), normalize), expected)


INDICES = ints(10, 12, 14, 16), ints(11, 13, 15)
FEATURES = TrackletFeatures(rows(2, 4), rows(3, 4)), TrackletFeatures(rows(4, 3), rows(5, 3))


def matched(**keywords):
    """Visible clusters 0, 1 and infrared clusters 0, 1; batches use other labels than the centers."""
    labels = PseudoLabels(
        ints(1, 0, -1, 1),
        ints(1, 1, 1),
        False,
        cross=CrossLabels(ints(1, 1, -1, 1), ints(0, 0, 0)),
        partners=ints(0, 0),
        center_labels={RGB: ints(0, 0, -1, 1), IR: ints(0, 1, 1)},
    )
    memories = TargetMemories(**keywords)
    memories.reset(*FEATURES, labels, *INDICES)
    return memories


def mean(values, members):
    return F.normalize(F.normalize(values, dim=1)[members].mean(0), dim=0)


def test_centers_are_those_of_the_center_labels_and_batches_have_the_labels():
    memories = matched()
    centers = memories.cluster_memory(RGB).static
    torch.testing.assert_close(centers, torch.stack([mean(FEATURES[0].static, [0, 1]), mean(FEATURES[0].static, [3])]))
    infrared = memories.cluster_memory(IR).dynamic  # no batch has label 0, whose center stays
    torch.testing.assert_close(
        infrared, torch.stack([mean(FEATURES[1].dynamic, [0]), mean(FEATURES[1].dynamic, [1, 2])])
    )
    batch = memories.locate([10, 12, 11], ['rgb', 'rgb', 'ir'])
    assert batch.labels.tolist() == [1, 0, 1]
    assert batch.hybrid is None


@pytest.mark.parametrize('kind', ['ClusterMemory', 'MeanHardMemory'])
def test_the_hybrid_memory_holds_averages_and_follows_what_it_was_compared_with(kind):
    memories = matched(hybrid=True, cluster=dict(type=kind, momentum=0.5))
    hybrid = memories.hybrid_memory()
    visible, infrared = (memories.cluster_memory(m).features().static for m in Modality)
    averages = F.normalize((visible[[0, 0]] + infrared) / 2, dim=1)
    torch.testing.assert_close(hybrid.features().static, averages)
    static, dynamic = rows(8, 3), rows(9, 3)
    batch = memories.locate([12, 11, 14], ['rgb', 'ir', 'rgb'])
    assert batch.hybrid.tolist() == [1, 1, -1]
    for modality, position in ((RGB, 0), (IR, 1)):
        before = hybrid.features().static[1].clone()
        memories.stage(static, dynamic, batch, hybrid=[modality])
        memories.update()
        moved = F.normalize(before + F.normalize(static[position], dim=0), dim=0)
        torch.testing.assert_close(hybrid.features().static, torch.stack([averages[0], moved]))
    memories.stage(static, dynamic, batch)
    memories.update()
    torch.testing.assert_close(hybrid.features().static[1], moved)


def test_without_partners_there_is_no_hybrid_row():
    memories = TargetMemories(hybrid=True)
    memories.reset(*FEATURES, PseudoLabels(ints(1, 0, -1, 1), ints(1, 0, 1), False), *INDICES)
    assert memories.locate([10, 11], ['rgb', 'ir']).hybrid is None
