"""PCLHD's second stage: alternating steps, joint memory, instances, and the averaged encoder."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dscreid.errors import ConfigError
from dscreid.models.losses import cluster_contrastive_loss, mean_hard_contrastive_loss
from dscreid.models.losses.instance_slots import instance_slot_loss
from dscreid.models.memories.aggregation import balanced_centers
from dscreid.pseudo_labels import PseudoLabels
from dscreid.registry import MODELS
from dscreid.structures import Modality, TrackletFeatures

RGB, IR = np.arange(0, 16, 2), np.arange(1, 17, 2)
JOINT = {Modality.RGB: np.array([0, 0, 3, 3, 5, 5, -1, 0]), Modality.IR: np.array([3, 3, 0, 0, 7, -1, 7, 3])}
BATCH = [1, 3, 5, 9, 0, 2, 4, 6]


def features(seed):
    rows = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(seed))
    return TrackletFeatures(*F.normalize(rows, dim=2))


def build(labels=None, **keywords):
    model = MODELS.build({'type': 'HierarchicalReID', 'backbone': {'type': 'TinyEncoder'}, **keywords})
    labels = labels or PseudoLabels(np.arange(8) % 3, np.arange(8) % 2, False, joint=JOINT)
    model.set_epoch(0)
    model.reset_memories(features(0), features(1), labels, RGB, IR)
    return model


def test_centers_average_the_modalities_that_occur():
    rows, labels = [features(0).static, features(1).static], [torch.tensor(JOINT[m]) for m in Modality]
    found = balanced_centers(rows, labels, 8, normalize=False)
    for cluster in (0, 3, 5, 7):
        means = [half[numbers == cluster].mean(0) for half, numbers in zip(rows, labels, strict=True)
                 if (numbers == cluster).any()]  # fmt: skip
        torch.testing.assert_close(found[cluster], sum(means) / len(means))


def test_steps_alternate_between_own_and_joint_clusters(tracklets):
    model = build(joint_loss=dict(type='MeanHardContrastiveLoss', weight=0.5), memories=dict(cluster=TWO),
                  identity_loss=dict(type='MeanHardContrastiveLoss'))  # fmt: skip
    inputs, samples = tracklets(BATCH)
    first = model.loss(inputs, samples)
    assert set(first) == {'loss_id_static', 'loss_id_dynamic', 'loss_slots_v', 'loss_slots_t'}
    own, joint = (memory.static.clone() for memory in (model.memories.clusters['rgb'], model.memories.joint_memory()))
    model.update_memories()
    assert not torch.equal(model.memories.clusters['rgb'].static, own)
    assert torch.equal(model.memories.joint_memory().static, joint)
    second = model.loss(inputs, samples)
    assert set(second) == {'loss_joint_v', 'loss_joint_t'}
    own = model.memories.clusters['rgb'].static.clone()
    model.update_memories()
    assert torch.equal(model.memories.clusters['rgb'].static, own)
    assert not torch.equal(model.memories.joint_memory().static, joint)
    assert set(model.loss(inputs, samples)) == set(first)


TWO = dict(type='MeanHardMemory')


def halves_of(model, inputs):
    with torch.no_grad():
        return [F.batch_norm(raw, None, None, training=True) for raw in model.extract_feat(inputs)]


def test_the_losses_of_both_steps(tracklets):
    model = build(slot_weight=0.5, joint_loss=dict(type='MeanHardContrastiveLoss'), memories=dict(cluster=TWO),
                  identity_loss=dict(type='MeanHardContrastiveLoss'))  # fmt: skip
    inputs, samples = tracklets(BATCH)
    halves, infrared = halves_of(model, inputs), [1 // 2, 3 // 2, 5 // 2, 9 // 2]
    found = model.loss(inputs, samples)
    slots, labels = model.slots['ir'], torch.tensor(infrared) % 2
    expected = sum(instance_slot_loss(half[:4], rows, labels)
                   for half, rows in zip(halves, (slots.static, slots.dynamic), strict=True))  # fmt: skip
    torch.testing.assert_close(found['loss_slots_t'], 0.5 * expected)
    model.update_memories()
    memory = model.memories.joint_memory()
    joint = torch.tensor([{0: 0, 3: 1, 5: 2, 7: 3, -1: -1}[number] for number in JOINT[Modality.IR][infrared]])
    expected = sum(mean_hard_contrastive_loss(half[:4], *centers, joint)
                   for half, centers in zip(halves, (memory.static, memory.dynamic), strict=True))  # fmt: skip
    torch.testing.assert_close(model.loss(inputs, samples)['loss_joint_t'], expected)


def test_the_average_follows_after_the_second_step(tracklets):
    model = build(momentum=0.9, slot_weight=0.0)
    model.start_average()
    before = copy.deepcopy(model.average.state_dict())
    inputs, samples = tracklets(BATCH)
    for step in (0, 1):
        losses = model.loss(inputs, samples)
        assert ('loss_slots_v' in losses) is False
        sum(losses.values()).backward()
        with torch.no_grad():
            for value in model.backbone.parameters():
                value -= 0.1 * value.grad
        model.update_memories()
        moved = not torch.equal(model.average['backbone'].static.weight, before['backbone.static.weight'])
        assert moved == (step == 1)
    live, average = model.backbone.static.weight, model.average['backbone'].static.weight
    torch.testing.assert_close(average, 0.9 * before['backbone.static.weight'] + 0.1 * live)
    assert torch.equal(model.average['static_neck'].running_mean, model.static_neck.running_mean)
    assert not any(value.requires_grad for value in model.average.parameters())


@pytest.mark.parametrize('evaluate', ['average', 'live'])
def test_the_encoder_that_ranks(tracklets, evaluate):
    model = build(evaluate=evaluate).eval()
    model.start_average()
    with torch.no_grad():
        model.average['backbone'].static.weight.mul_(2)
    inputs, samples = tracklets(BATCH)
    raw = model.predict(inputs, samples)[0].static
    own = model.extract_feat(inputs)[0][0]
    assert torch.allclose(raw, own) == (evaluate == 'live')
    # labels are always made with the live encoder
    torch.testing.assert_close(model.embed(inputs).static[0], F.normalize(model.static_neck(own[None]), dim=1)[0])
    torch.testing.assert_close(model.train().average.training, False)


def test_the_averaged_encoder_runs_in_the_precision_of_inference(tracklets):
    model = build(inference_dtype='bfloat16').eval()
    model.start_average()
    inputs, samples = tracklets(BATCH)
    static = model.extract_feat(inputs)[0]
    assert not torch.equal(static, model.backbone(inputs)[0])
    assert torch.equal(model.predict(inputs, samples)[0].static, static[0])


def test_a_labeler_without_joint_clusters_is_named(tracklets):
    model = build(PseudoLabels(np.arange(8) % 3, np.arange(8) % 2, False))
    inputs, samples = tracklets(BATCH)
    model.loss(inputs, samples)
    model.update_memories()
    with pytest.raises(ConfigError, match=r'joint_loss is active in epoch 1.*no joint clusters.*JointMatchingLabeler'):
        model.loss(inputs, samples)


@pytest.mark.parametrize('wrong', [dict(slots=0), dict(momentum=1.1), dict(evaluate='best'), dict(slot_weight=-1)])
def test_settings_are_checked(wrong):
    with pytest.raises(ConfigError, match='HierarchicalReID: needs'):
        MODELS.build({'type': 'HierarchicalReID', 'backbone': {'type': 'TinyEncoder'}, **wrong})


def test_without_two_centers_the_joint_loss_is_the_plain_one(tracklets):
    model = build()
    inputs, samples = tracklets(BATCH)
    halves = halves_of(model, inputs)
    model.loss(inputs, samples)
    model.update_memories()
    memory = model.memories.joint_memory()
    labels = torch.tensor([0, 0, 1, 1])  # of visible rows 0 to 3
    expected = sum(cluster_contrastive_loss(half[4:], centers, labels)
                   for half, centers in zip(halves, (memory.static, memory.dynamic), strict=True))  # fmt: skip
    torch.testing.assert_close(model.loss(inputs, samples)['loss_joint_v'], expected)
