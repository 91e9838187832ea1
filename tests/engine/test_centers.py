"""The centres that one epoch leaves to the next labeler."""

import io

import numpy as np
import pytest
import torch

from dscreid.engine.centers import Centers, held_centers
from dscreid.models.memories import TargetMemories
from dscreid.pseudo_labels import PseudoLabels
from dscreid.structures import Modality, TrackletFeatures


def features(seed, num):
    return TrackletFeatures(*torch.randn(2, num, 4, generator=torch.Generator().manual_seed(seed)))


def filled(shared):
    labels = PseudoLabels(np.array([0, 1, 1, -1]), np.array([1, 0, 2]), shared)
    memories = TargetMemories()
    memories.reset(features(0, 4), features(1, 3), labels, np.arange(4), np.arange(4, 7))
    return memories


def test_memories_that_were_never_filled_hold_none():
    assert held_centers(TargetMemories()) is None


@pytest.mark.parametrize('shared', [False, True])
def test_what_the_memories_hold(shared):
    memories = filled(shared)
    centers = held_centers(memories).features
    assert (centers[Modality.RGB] is centers[Modality.IR]) is shared
    for modality in Modality:
        held = memories.cluster_memory(modality)
        assert torch.equal(centers[modality].static, held.static)
        assert torch.equal(centers[modality].dynamic, held.dynamic)
    assert [len(centers[m]) for m in Modality] == ([3, 3] if shared else [2, 3])


@pytest.mark.parametrize('shared', [False, True])
@pytest.mark.parametrize('groups', [None, {Modality.RGB: np.array([3, 5]), Modality.IR: np.array([1, 1, 2])}])
def test_a_checkpoint_brings_them_back(shared, groups):
    centers = held_centers(filled(shared), groups)
    file = io.BytesIO()
    torch.save(centers.state(), file)
    file.seek(0)
    restored = Centers.from_state(torch.load(file, weights_only=True))
    assert (restored.features[Modality.RGB] is restored.features[Modality.IR]) is shared
    for modality in Modality:
        assert torch.equal(restored.features[modality].static, centers.features[modality].static)
        assert torch.equal(restored.features[modality].dynamic, centers.features[modality].dynamic)
        if groups is not None:
            np.testing.assert_array_equal(restored.groups[modality], groups[modality])
    assert (restored.groups is None) is (groups is None)
