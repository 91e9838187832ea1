import io

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from dscreid.engine.label_state import Centers, held_centers, labels_from_state, labels_state
from dscreid.models.memories import TargetMemories
from dscreid.pseudo_labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.structures import Modality, TrackletFeatures


def soft(rows, seed, clusters=3):
    dense = np.random.default_rng(seed).random((rows, clusters)).astype(np.float32)
    dense[dense < 0.5] = 0
    return SoftTargets(csr_array(dense), dense[:, 0].copy())


RGB, IR = np.array([0, 1, -1, 2]), np.array([0, -1, 1])
SOFT = {Modality.RGB: soft(4, 0), Modality.IR: soft(3, 1)}


@pytest.mark.parametrize(
    'more',
    [
        dict(shared=True, center_modality=Modality.IR),
        dict(shared=False, groups={Modality.RGB: np.array([0, 0, 1]), Modality.IR: np.array([1, 1])}),
        dict(shared=False, matches=np.array([[0, 1], [2, 0]]), partners=np.array([2, 0]), soft=SOFT),
        dict(shared=False, center_labels={Modality.RGB: np.array([0, 0, -1, 2]), Modality.IR: np.array([1, -1, 0])}),
        dict(shared=False, joint={Modality.RGB: np.array([0, 3, -1, 3]), Modality.IR: np.array([3, -1, 0])}),
        dict(shared=False, cross=CrossLabels(np.array([1, 0, -1, 1]), np.array([2, 2, -1]))),
        dict(shared=False, cross=CrossLabels(np.array([1, 0, -1, 1]), np.array([2, 2, -1]), SOFT)),
    ],
)
def test_labels_come_back_from_a_file(more):
    labels = PseudoLabels(RGB, IR, **more)
    torch.save(labels_state(labels), file := io.BytesIO())
    file.seek(0)
    again = labels_from_state(torch.load(file, weights_only=True))
    assert flat(again) == flat(labels)


def flat(value):
    """Plain lists and numbers of everything that labels hold."""
    if hasattr(value, '__slots__') and not isinstance(value, (np.ndarray, csr_array)):
        return {name: flat(getattr(value, name)) for name in value.__slots__}
    if isinstance(value, dict):
        return {key: flat(part) for key, part in value.items()}
    if isinstance(value, csr_array):
        return (value.dtype.str, value.toarray().tolist())
    return (value.dtype.str, value.tolist()) if isinstance(value, np.ndarray) else value


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
    moved = Centers.from_state(centers.state(), 'meta').features
    assert all(moved[modality].static.is_meta and moved[modality].dynamic.is_meta for modality in Modality)
