"""Heads of supervised training against plain formulas."""

import math

import pytest
import torch
import torch.nn.functional as F

from dscreid.errors import ConfigError
from dscreid.models.heads.graph_head import GraphAttention
from dscreid.models.losses import LabeledBatch
from dscreid.models.losses.alignment import reconstruct
from dscreid.registry import MODELS

LABELS = [0, 0, 1, 1, 2]
VISIBLE = [True, False, True, False, True]


def rows(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(**parts):
    return LabeledBatch(parts, torch.tensor(LABELS), torch.tensor(VISIBLE), seed=3)


def build(kind, in_features, **keywords):
    torch.manual_seed(0)
    return MODELS.build({'type': kind, 'in_features': in_features, 'num_classes': 3, **keywords})


def test_identity_head_reads_its_part():
    head, own = build('IdentityHead', 4, part='static'), batch(static=rows(0, 5, 4), neck_static=rows(1, 5, 4))
    torch.testing.assert_close(head(own), own.parts['static'] @ head.weight.T)
    assert head.reads == ('static',)


def test_each_stripe_has_its_own_classifier():
    head, own = build('StripeHead', 8, stripes=4), batch(neck_static=rows(0, 5, 8))
    logits = head(own)
    assert logits.shape == (5, 4, 3)
    for stripe in range(4):
        part = own.parts['neck_static'][:, 2 * stripe : 2 * stripe + 2]
        torch.testing.assert_close(logits[:, stripe], part @ head.weight[stripe].T)
    assert head.weight.std().item() == pytest.approx(0.001, rel=0.5)
    with pytest.raises(ConfigError, match='stripes must divide the 8 features, got 3'):
        build('StripeHead', 8, stripes=3)


def test_projection_can_keep_its_random_weights():
    own = batch(middle=rows(0, 5, 6))
    frozen, trained = (build('ProjectionHead', 6, width=2, part='middle', trained=flag) for flag in (False, True))
    torch.testing.assert_close(frozen(own), F.linear(own.parts['middle'], frozen.weight, frozen.bias))
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert all(parameter.requires_grad for parameter in trained.parameters())


class TestGraph:
    def test_attention_equals_plain_loops(self):
        torch.manual_seed(0)
        layer = GraphAttention(4, 3, 2, dropout=0.5).eval()
        nodes, adjacent = rows(0, 5, 4), torch.tensor(LABELS)[:, None] == torch.tensor(LABELS)
        found = layer(nodes, adjacent)
        for head in range(2):
            values = nodes @ layer.projection.weight[3 * head : 3 * head + 3].T
            for i in range(5):
                neighbors = [j for j in range(5) if LABELS[i] == LABELS[j]]
                scores = [float(values[i] @ layer.to_query[head] + values[j] @ layer.to_key[head]) for j in neighbors]
                weights = [math.exp(score if score > 0 else 0.2 * score) for score in scores]
                mean = sum(w * values[j] for w, j in zip(weights, neighbors, strict=True)) / sum(weights)
                torch.testing.assert_close(found[i, head], mean)

    def test_head_mixes_samples_of_one_identity_only(self):
        head = build('GraphHead', 4, width=3, num_heads=2).eval()
        nodes = rows(0, 5, 4)
        before = head(batch(neck_static=nodes))
        assert before.shape == (5, 3)
        changed = nodes.clone()
        changed[0] += 1
        same = torch.isclose(head(batch(neck_static=changed)), before).all(dim=1)
        assert same.tolist() == [False, False, True, True, True]

    def test_gradient_equals_finite_differences(self):
        torch.manual_seed(0)
        layer = GraphAttention(3, 2, 2, dropout=0.0).double()
        adjacent = torch.tensor(LABELS)[:, None] == torch.tensor(LABELS)
        nodes = rows(0, 5, 3).double().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: layer(x, adjacent), nodes)


class TestAlignment:
    def test_partners_are_of_the_other_modality(self):
        own = batch(maps=rows(0, 5, 1, 4, 2, 2))
        head = build('AlignmentHead', 4, part='maps')
        found = head(own)
        assert found.shape == (5, 2, 1, 4, 2, 2)
        assert head.out_features == 4
        maps = own.parts['maps']
        # rows 0 to 3 have one partner each; row 4 has none of its person, so itself
        torch.testing.assert_close(found[:, 0], reconstruct(maps, torch.tensor([1, 0, 3, 2, 4])))
        candidates = [torch.tensor([3, 2, 1, 0, 1]), torch.tensor([3, 4, 1, 4, 3])]
        options = [reconstruct(maps, partners)[row] for row in range(1) for partners in candidates]
        assert any(torch.allclose(found[0, 1], option) for option in options)
        assert torch.equal(found, head(own))  # all processes draw the same

    def test_temperature_must_be_positive(self):
        with pytest.raises(ConfigError, match='temperature must be positive, got 0'):
            build('AlignmentHead', 4, part='maps', temperature=0)

    def test_reconstructions_of_the_same_person_are_classified(self):
        rebuilt = rows(0, 5, 2, 3, 4, 2, 2).abs()
        head = build('ReconstructionHead', 4, part='align_head', gem_power=1.0)
        pooled = rebuilt[:, 0].mean(dim=(3, 4)).mean(1)
        expected = F.batch_norm(pooled, None, None, training=True) @ head.classifier.weight.T
        torch.testing.assert_close(head(batch(align_head=rebuilt)), expected)


class TestModality:
    def test_the_classifier_and_the_encoder_have_their_own_gradients(self):
        head, features = build('ModalityHead', 4, width=6), rows(0, 5, 4).requires_grad_()
        logits = head(batch(static=features))
        assert logits.shape == (5, 2, 3)
        torch.testing.assert_close(logits[:, 0], logits[:, 1])
        torch.testing.assert_close(logits[:, 0], head.layers(features))
        logits[:, 0].square().sum().backward(retain_graph=True)
        assert features.grad is None or not features.grad.any()
        assert all(parameter.grad.any() for parameter in head.parameters())
        head.zero_grad()
        logits[:, 1].square().sum().backward()
        assert features.grad.any()
        assert all(parameter.grad is None or not parameter.grad.any() for parameter in head.parameters())

    def test_the_encoder_shall_be_neither(self):
        logits = rows(0, 5, 2, 3)
        loss = MODELS.build({'type': 'ModalityConfusionLoss'})(batch(modality_head=logits))
        logs = logits.log_softmax(2)
        terms = [-logs[row, 0, 0 if VISIBLE[row] else 1] - logs[row, 1, 2] for row in range(5)]
        torch.testing.assert_close(loss, torch.stack(terms).mean())


def test_two_parts_share_a_classifier():
    head, own = build('SharedIdentityHead', 4), batch(neck_static=rows(0, 5, 4), neck_dynamic=rows(1, 5, 4))
    logits = head(own)
    for group, part in enumerate(('neck_static', 'neck_dynamic')):
        torch.testing.assert_close(logits[:, group], own.parts[part] @ head.weight.T)
    assert head.reads == ('neck_static', 'neck_dynamic')


@pytest.mark.parametrize('kernel_size', [1, 3])
def test_each_modality_is_translated_by_its_own_convolution(kernel_size):
    head, maps = build('TranslationHead', 3, part='maps', kernel_size=kernel_size), rows(0, 5, 2, 3, 4, 2)
    found = head(batch(maps=maps))
    for row, visible in enumerate(VISIBLE):
        weight = head.layers['rgb' if visible else 'ir'].weight
        torch.testing.assert_close(found[row], F.conv2d(maps[row], weight, padding=kernel_size // 2))
