"""Losses of single methods, and LbA's alignment, against plain loops."""

import math

import pytest
import torch

from dscreid.models.losses import LabeledBatch
from dscreid.models.losses.alignment import dense_triplet, draw_partners, foreground, partner_candidates, reconstruct
from dscreid.registry import MODELS

LABELS = [0, 0, 0, 1, 1, 2]
VISIBLE = [True, True, False, True, False, True]


def rows(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch(versions=1, epoch=0, **parts):
    labels, visible = (torch.tensor(values).repeat(versions) for values in (LABELS, VISIBLE))
    return LabeledBatch(parts, labels, visible, versions, epoch)


class TestModalityDistance:
    def test_is_the_mean_over_pairs_of_one_person(self):
        features = rows(0, 6, 4).float()
        pairs = [(0, 2), (1, 2), (3, 4)]
        expected = sum(float((features[a] - features[b]).norm()) for a, b in pairs) / 3
        loss = MODELS.build({'type': 'ModalityDistanceLoss'})(batch(versions=2, static=features))
        assert loss.item() == pytest.approx(expected, rel=1e-6)

    def test_without_pairs_a_differentiable_zero(self):
        features = rows(0, 2, 4).requires_grad_()
        own = LabeledBatch({'static': features}, torch.tensor([0, 1]), torch.tensor([True, False]))
        loss = MODELS.build({'type': 'ModalityDistanceLoss'})(own)
        loss.backward()
        assert loss.item() == 0
        assert not features.grad.any()


def test_orthogonality_sums_cosines_between_versions():
    features = rows(0, 18, 4).float()
    expected = 0.0
    for row in range(6):
        versions = [features[row + 6 * version] for version in range(3)]
        for a in range(3):
            for b in range(a + 1, 3):
                expected += float(torch.cosine_similarity(versions[a], versions[b], dim=0)) / 6
    loss = MODELS.build({'type': 'VersionOrthogonalityLoss'})(batch(versions=3, static=features))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


class TestGrowingIdentity:
    LOGITS = rows(0, 6, 3).float()

    def run(self, loss, epoch, *others):
        own = batch(epoch=epoch, static_head=self.LOGITS)
        own.losses.update({f'loss_{number}': torch.tensor(value) for number, value in enumerate(others)})
        return loss(own).item()

    def test_weight_follows_the_mean_of_the_epoch_before(self):
        loss = MODELS.build({'type': 'GrowingIdentityLoss'})
        plain = torch.nn.functional.cross_entropy(self.LOGITS, torch.tensor(LABELS)).item()
        assert [self.run(loss, 0, 1.0, 2.0), self.run(loss, 0, 4.0, 1.0)] == [0, 0]
        # sums of 3 and 5 in the epoch before
        assert self.run(loss, 1, 9.0) == pytest.approx(plain / (1 + 4))
        resumed = MODELS.build({'type': 'GrowingIdentityLoss'})
        resumed.load_state_dict(loss.state_dict())
        for one in (loss, resumed):
            assert self.run(one, 1, 0.0) == pytest.approx(plain / (1 + 4))
            assert self.run(one, 2, 0.0) == pytest.approx(plain / (1 + 4.5))

    def test_can_be_kept_constant(self):
        loss = MODELS.build({'type': 'GrowingIdentityLoss', 'growing': False})
        assert self.run(loss, 0, 5.0) == self.run(loss, 1, 9.0) > 0


class TestAlignment:
    def test_candidates_are_of_the_other_modality(self):
        positive, negative = partner_candidates(torch.tensor(LABELS), torch.tensor(VISIBLE))
        for row in range(6):
            for other in range(6):
                across = VISIBLE[row] != VISIBLE[other]
                assert positive[row, other] == (across and LABELS[row] == LABELS[other])
                assert negative[row, other] == (across and LABELS[row] != LABELS[other])

    def test_partners_are_random_candidates(self):
        candidates = torch.tensor([[False, True, True], [False, False, False], [True, False, False]])
        drawn = {tuple(draw_partners(candidates, torch.Generator().manual_seed(n)).tolist()) for n in range(20)}
        assert drawn == {(1, 1, 0), (2, 1, 0)}

    def test_foreground_is_the_scaled_norm(self):
        maps = torch.zeros(1, 1, 2, 1, 3)
        maps[0, 0, :, 0] = torch.tensor([[3.0, 0.0, 1.0], [4.0, 1.0, 0.0]])
        assert foreground(maps).flatten().tolist() == pytest.approx([1, 0, 0])
        assert not foreground(torch.ones(1, 1, 2, 1, 3)).any()

    def test_reconstruction_equals_plain_loops(self):
        maps, partners = rows(0, 3, 2, 4, 3, 2), [1, 2, 2]
        found = reconstruct(maps, torch.tensor(partners), 5.0)
        for row, partner in enumerate(partners):
            for t in range(2):
                own, other = (maps[r, t].flatten(1).T for r in (row, partner))  # (positions, C)
                norms = [float(f.norm()) for f in own]
                for p, f in enumerate(own):
                    weights = [math.exp(5 * float(f @ g) / (norms[p] * float(g.norm()))) for g in other]
                    warped = sum(w * g for w, g in zip(weights, other, strict=True)) / sum(weights)
                    mask = (norms[p] - min(norms)) / (max(norms) - min(norms))
                    expected = mask * warped + (1 - mask) * f
                    torch.testing.assert_close(found[row, t].flatten(1)[:, p], expected)

    def test_dense_triplet_equals_plain_loops(self):
        maps, positive, negative = (rows(seed, 3, 1, 4, 2, 2) for seed in range(3))
        total = 0.0
        for row in (0, 2):
            masks = [foreground(part[row : row + 1])[0, 0, 0] for part in (maps, positive)]
            for y in range(2):
                for x in range(2):
                    gaps = [
                        float((maps[row, 0, :, y, x] - part[row, 0, :, y, x]).norm()) for part in (positive, negative)
                    ]
                    total += float(masks[0][y, x] * masks[1][y, x]) * max(0, 0.3 + gaps[0] - gaps[1]) / 4
        used = torch.tensor([True, False, True])
        assert float(dense_triplet(maps, positive, negative, used)) == pytest.approx(total / 2)
        nothing = dense_triplet(maps.requires_grad_(), positive, negative, torch.zeros(3, dtype=torch.bool))
        nothing.backward()
        assert nothing == 0

    def test_gradients_equal_finite_differences(self):
        maps = rows(0, 3, 1, 2, 2, 2).requires_grad_()
        partners = torch.tensor([1, 2, 0])
        assert torch.autograd.gradcheck(lambda x: reconstruct(x, partners, 2.0), maps)
        # the reconstructions do not depend on the maps, because the mask passes no gradient
        others = (rows(1, 3, 1, 2, 2, 2).requires_grad_(), rows(2, 3, 1, 2, 2, 2).requires_grad_())
        far = torch.ones(3, dtype=torch.bool)
        dense_triplet(maps, *others, far).backward()
        assert all(part.grad.isfinite().all() and part.grad.any() for part in (maps, *others))
