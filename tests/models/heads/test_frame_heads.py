"""Heads of SAADG and TF-CLIP, and losses on frames, against plain formulas."""

import math

import pytest
import torch
import torch.nn.functional as F

from dscreid.models.heads.frame_heads import graph_convolution
from dscreid.models.losses import LabeledBatch
from dscreid.registry import MODELS

LABELS = [0, 0, 0, 0, 1]
VISIBLE = [True, True, False, False, True]


def rows(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(**parts):
    return LabeledBatch(parts, torch.tensor(LABELS), torch.tensor(VISIBLE))


def build(kind, **keywords):
    torch.manual_seed(0)
    return MODELS.build({'type': kind, 'in_features': 4, 'num_classes': 3, **keywords})


def normalized(features):
    return F.batch_norm(features, None, None, training=True)


def test_frames_of_both_parts_share_neck_and_classifier():
    head, own = build('FrameHead'), batch(frames=rows(0, 5, 2, 4), disturbed_frames=rows(1, 5, 2, 4))
    logits = head(own)
    assert logits.shape == (5, 4, 3)
    both = torch.cat([own.parts['frames'], own.parts['disturbed_frames']], dim=1)
    expected = normalized(both.flatten(0, 1)) @ head.classifier.weight.T
    torch.testing.assert_close(logits.flatten(0, 1), expected)


def test_a_clip_and_its_frames_share_the_classifier_alone():
    head, own = build('ClipFrameHead'), batch(neck_temporal=rows(0, 5, 4), frames=rows(1, 5, 2, 4))
    logits = head(own)
    assert logits.shape == (5, 3, 3)
    torch.testing.assert_close(logits[:, 0], own.parts['neck_temporal'] @ head.classifier.weight.T)
    expected = normalized(own.parts['frames'].flatten(0, 1)) @ head.classifier.weight.T
    torch.testing.assert_close(logits[:, 1:].flatten(0, 1), expected)


def test_graph_convolution_equals_plain_loops():
    nodes, weights = rows(0, 4, 3).double(), rows(1, 4, 4).double().abs()
    sums = [float(weights[i].sum()) for i in range(4)]
    found = graph_convolution(nodes, weights)
    for i in range(4):
        expected = sum(weights[i, j] / math.sqrt(sums[i] * sums[j]) * nodes[j] for j in range(4))
        torch.testing.assert_close(found[i], expected)
    assert torch.autograd.gradcheck(graph_convolution, (nodes.requires_grad_(), weights.requires_grad_()))


def test_interaction_has_one_graph_within_and_one_across_modalities():
    head, frames = build('InteractionHead'), rows(0, 5, 2, 4)
    logits = head(batch(frames=frames))
    assert logits.shape == (5, 2, 3)
    for kind, across in enumerate((False, True)):
        nodes = []
        for t in range(2):
            unit = F.normalize(frames[:, t], dim=1)
            weights = torch.zeros(5, 5)
            for i in range(5):
                for j in range(5):
                    if i == j or (LABELS[i] == LABELS[j] and (VISIBLE[i] != VISIBLE[j]) == across):
                        weights[i, j] = 1 if i == j else max(float(unit[i] @ unit[j]), 0)
            nodes.append(head.projections[kind](graph_convolution(frames[:, t], weights)))
        expected = normalized(torch.stack(nodes).mean(0)) @ head.classifier.weight.T
        torch.testing.assert_close(logits[:, kind], expected)


def test_distance_is_the_mean_over_frames():
    first, second = rows(0, 5, 2, 4), rows(1, 5, 2, 4)
    loss = MODELS.build({'type': 'FrameDistanceLoss'})(batch(frames=first, disturbed_frames=second))
    torch.testing.assert_close(loss, torch.stack([(a - b).norm() for a, b in zip(
        first.flatten(0, 1), second.flatten(0, 1), strict=True
    )]).mean())  # fmt: skip


@pytest.mark.parametrize('groups', [None, 2])
def test_the_teacher_gets_no_gradient(groups):
    student = rows(0, 5, 3).requires_grad_()
    teacher = rows(1, 5, *([groups] if groups else []), 3).requires_grad_()
    loss = MODELS.build({'type': 'DistillationLoss'})(batch(static_head=student, graph_head=teacher))
    terms = []
    for row in range(5):
        for one in teacher[row].reshape(-1, 3):
            p, q = one.softmax(0), student[row].softmax(0)
            terms.append(sum(p[k] * (p[k] / q[k]).log() for k in range(3)))
    torch.testing.assert_close(loss, torch.stack(terms).mean())
    loss.backward()
    assert student.grad.any()
    assert teacher.grad is None
