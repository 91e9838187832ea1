"""The losses against plain loops, on hand-made angles and at their edges."""

import math

import pytest
import torch
import torch.nn.functional as F

from dscreid.models.losses import (
    cluster_contrastive_loss,
    neighbor_contrastive_loss,
    neighbor_mask,
    soft_cluster_contrastive_loss,
)


def directions(*degrees):
    """float64 unit vectors (n, 2) at the given angles."""
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def random_rows(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def cluster_oracle(features, memory, labels, temperature):
    terms = []
    for feature, label in zip(features, labels.tolist(), strict=True):
        if label == -1:
            continue
        logits = [float(feature @ center / feature.norm()) / temperature for center in memory]
        terms.append(-logits[label] + math.log(sum(math.exp(x) for x in logits)))
    return sum(terms) / len(terms) if terms else 0.0


def soft_oracle(features, memory, targets, weights, temperature):
    terms = []
    for feature, target, weight in zip(features, targets.tolist(), weights.tolist(), strict=True):
        if sum(target) == 0:
            continue
        scores = [math.exp(float(feature @ center / feature.norm()) / temperature) for center in memory]
        entropy = -sum(share * math.log(score / sum(scores)) for share, score in zip(target, scores, strict=True))
        terms.append(weight * entropy)
    return sum(terms) / len(terms)


def mask_oracle(query_static, query_dynamic, bank_static, bank_dynamic, alpha, own_rows=None):
    mask = torch.zeros(len(query_static), len(bank_static), dtype=torch.bool)
    for i in range(len(query_static)):
        others = [j for j in range(len(bank_static)) if own_rows is None or j != own_rows[i]]
        static = {j: cosine(query_static[i], bank_static[j]) for j in others}
        dynamic = {j: cosine(query_dynamic[i], bank_dynamic[j]) for j in others}
        for j in others:
            in_static = static[j] > alpha * max(static.values())
            mask[i, j] = in_static and dynamic[j] > alpha * max(dynamic.values())
    return mask


def neighbor_oracle(features, bank, mask, temperature, count_offset, left_out=None):
    total = 0.0
    for i, feature in enumerate(features):
        weights = [math.exp(cosine(feature, row) / temperature) for row in bank]
        if left_out is not None:
            weights = [0 if left_out[i, j] and not mask[i, j] else weights[j] for j in range(len(bank))]
        neighbors = [j for j in range(len(bank)) if mask[i, j]]
        if neighbors:
            terms = [-math.log(weights[j] / sum(weights)) for j in neighbors]
            total += sum(terms) / (len(neighbors) + count_offset)
    return total / len(features)


class TestClusterContrastive:
    @pytest.mark.parametrize('temperature', [0.05, 0.5])
    def test_equals_a_plain_loop(self, temperature):
        features, memory = random_rows(0, 7, 5), F.normalize(random_rows(1, 4, 5), dim=1)
        labels = torch.tensor([0, 3, -1, 2, 2, -1, 1])
        loss = cluster_contrastive_loss(features, memory, labels, temperature)
        assert float(loss) == pytest.approx(cluster_oracle(features, memory, labels, temperature), rel=1e-9)

    def test_memory_is_used_as_stored(self):
        features, labels = directions(10.0), torch.tensor([0])
        memory = directions(0.0, 90.0)
        doubled = cluster_contrastive_loss(features, 2 * memory, labels, 0.1)
        assert torch.isclose(doubled, cluster_contrastive_loss(features, memory, labels, 0.05))

    def test_scale_of_features_does_not_matter(self):
        features, memory, labels = random_rows(0, 3, 4), random_rows(1, 2, 4), torch.tensor([0, 1, 1])
        scaled = cluster_contrastive_loss(27 * features, memory, labels)
        assert torch.isclose(scaled, cluster_contrastive_loss(features, memory, labels))

    @pytest.mark.parametrize('labels', [[-1, -1], []])
    def test_nothing_labelled_gives_a_differentiable_zero(self, labels):
        features = random_rows(0, len(labels), 3).requires_grad_()
        loss = cluster_contrastive_loss(features, random_rows(1, 2, 3), torch.tensor(labels, dtype=torch.int64))
        loss.backward()
        assert loss.item() == 0
        assert not features.grad.any()

    def test_memory_gets_no_gradient(self):
        features, memory = random_rows(0, 2, 3).requires_grad_(), random_rows(1, 2, 3).requires_grad_()
        cluster_contrastive_loss(features, memory, torch.tensor([0, 1])).backward()
        assert memory.grad is None
        assert features.grad.abs().sum() > 0

    def test_computes_in_float32_under_autocast(self):
        features, memory = random_rows(0, 4, 8).float(), random_rows(1, 3, 8).float()
        labels = torch.tensor([0, 1, 2, 0])
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss = cluster_contrastive_loss(features, memory, labels)
        assert torch.equal(loss, cluster_contrastive_loss(features, memory, labels))


class TestGroups:
    GROUPS = torch.tensor([0, 1, 0, 1])

    def test_each_row_sees_its_group_alone(self):
        features, memory = random_rows(0, 5, 6), random_rows(1, 4, 6)
        labels = torch.tensor([0, 1, -1, 3, 2])
        loss = cluster_contrastive_loss(features, memory, labels, 0.3, self.GROUPS)
        first = cluster_contrastive_loss(features[[0, 4]], memory[[0, 2]], torch.tensor([0, 1]), 0.3)
        second = cluster_contrastive_loss(features[[1, 3]], memory[[1, 3]], torch.tensor([0, 1]), 0.3)
        assert torch.isclose(loss, (first + second) / 2)
        assert not torch.isclose(loss, cluster_contrastive_loss(features, memory, labels, 0.3))

    def test_one_group_is_no_group(self):
        features, memory, labels = random_rows(0, 3, 4), random_rows(1, 4, 4), torch.tensor([0, 3, -1])
        one = cluster_contrastive_loss(features, memory, labels, groups=torch.full((4,), 7))
        assert torch.equal(one, cluster_contrastive_loss(features, memory, labels))

    def test_gradient_stays_finite(self):
        features = random_rows(0, 3, 4).requires_grad_()
        labels = torch.tensor([0, 3, -1])
        cluster_contrastive_loss(features, random_rows(1, 4, 4), labels, groups=self.GROUPS).backward()
        assert torch.isfinite(features.grad).all()
        assert not features.grad[2].any()


class TestUnpaired:
    SIDES = torch.tensor([0, 1, -1, 1, 0])

    def test_only_unpaired_clusters_of_the_other_modality_are_left_out(self):
        features, memory = random_rows(0, 6, 6), random_rows(1, 5, 6)
        labels = torch.tensor([0, 1, -1, 3, 2, 4])
        terms = []
        for feature, label in zip(features, labels.tolist(), strict=True):
            if label < 0:
                continue
            kept = [c for c in range(5) if {self.SIDES[label].item(), self.SIDES[c].item()} != {1, -1}]
            similarity = memory[kept] @ (feature / feature.norm()) / 0.3
            terms.append(similarity.logsumexp(0) - similarity[kept.index(label)])
        loss = cluster_contrastive_loss(features, memory, labels, 0.3, unpaired=self.SIDES)
        assert torch.isclose(loss, torch.stack(terms).mean())
        assert not torch.isclose(loss, cluster_contrastive_loss(features, memory, labels, 0.3))

    def test_without_unpaired_clusters_nothing_changes(self):
        features, memory, labels = random_rows(0, 3, 4), random_rows(1, 4, 4), torch.tensor([0, 3, -1])
        none = cluster_contrastive_loss(features, memory, labels, unpaired=torch.zeros(4, dtype=torch.int64))
        assert torch.equal(none, cluster_contrastive_loss(features, memory, labels))


class TestSoftClusterContrastive:
    def test_equals_a_plain_loop(self):
        features, memory = random_rows(0, 6, 5), random_rows(1, 4, 5)
        targets = random_rows(2, 6, 4).abs()
        targets = targets / targets.sum(dim=1, keepdim=True)
        targets[3] = 0
        weights = torch.tensor([1.0, 0.5, 0.0, 1.0, 0.2, 0.9], dtype=torch.float64)
        loss = soft_cluster_contrastive_loss(features, memory, targets, weights, 0.3)
        assert float(loss) == pytest.approx(soft_oracle(features, memory, targets, weights, 0.3), rel=1e-9)

    def test_one_hot_targets_of_weight_one_are_labels(self):
        features, memory, labels = random_rows(0, 3, 4), random_rows(1, 3, 4), torch.tensor([2, 0, -1])
        targets = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 0, 0]], dtype=torch.float32)
        soft = soft_cluster_contrastive_loss(features, memory, targets, torch.ones(3))
        assert torch.isclose(soft, cluster_contrastive_loss(features, memory, labels))

    def test_hand_made_even_target(self):
        # both centers are equally near: -log 1/2 whatever the target
        loss = soft_cluster_contrastive_loss(
            directions(45), directions(0, 90), torch.tensor([[0.3, 0.7]]), torch.tensor([0.5]), 1.0
        )
        assert float(loss) == pytest.approx(0.5 * math.log(2), rel=1e-6)

    @pytest.mark.parametrize('rows', [0, 2])
    def test_no_target_gives_a_differentiable_zero(self, rows):
        features = random_rows(0, rows, 3).requires_grad_()
        loss = soft_cluster_contrastive_loss(features, random_rows(1, 2, 3), torch.zeros(rows, 2), torch.ones(rows))
        loss.backward()
        assert loss.item() == 0
        assert not features.grad.any()

    def test_memory_gets_no_gradient_and_features_the_right_one(self):
        memory, targets = random_rows(1, 3, 4).requires_grad_(), random_rows(2, 2, 3).softmax(1)
        features, weights = (
            random_rows(0, 2, 4).requires_grad_(),
            torch.tensor([0.3, 1.0], dtype=torch.float64),
        )
        assert torch.autograd.gradcheck(
            lambda x: soft_cluster_contrastive_loss(x, memory.detach(), targets, weights, 0.5), features
        )
        soft_cluster_contrastive_loss(features, memory, targets, weights).backward()
        assert memory.grad is None

    def test_computes_in_float32_under_autocast(self):
        args = (
            random_rows(0, 4, 8).float(),
            random_rows(1, 3, 8).float(),
            random_rows(2, 4, 3).softmax(1).float(),
        )
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss = soft_cluster_contrastive_loss(*args, torch.ones(4))
        assert torch.equal(loss, soft_cluster_contrastive_loss(*args, torch.ones(4)))


class TestNeighborMask:
    def test_hand_made_angles(self):
        # cos 0 = 1 is the largest, 0.9 its threshold: cos 20 = 0.94 passes, cos 30 = 0.87 does not
        bank_static = directions(0, 20, 30, 180)
        bank_dynamic = directions(20, 90, 0, 0)
        mask = neighbor_mask(directions(0), directions(0), bank_static, bank_dynamic, alpha=0.9)
        assert mask.tolist() == [[True, False, False, False]]
        static_alone = neighbor_mask(directions(0), directions(0), bank_static, bank_static, alpha=0.9)
        assert static_alone.tolist() == [[True, True, False, False]]

    @pytest.mark.parametrize('alpha', [0.0, 0.3, 0.9])
    def test_equals_a_plain_loop(self, alpha):
        args = [random_rows(seed, rows, 3) for seed, rows in ((0, 6), (1, 6), (2, 20), (3, 20))]
        mask = neighbor_mask(*args, alpha=alpha)
        assert torch.equal(mask, mask_oracle(*args, alpha))
        assert mask.any()

    @pytest.mark.parametrize('alpha', [0.0, 0.3, 0.9])
    def test_without_itself_equals_a_plain_loop(self, alpha):
        bank = random_rows(0, 60, 2), random_rows(1, 60, 2)
        own = [3, 0, 14, 3]
        mask = neighbor_mask(bank[0][own], bank[1][own], *bank, alpha, torch.tensor(own))
        assert torch.equal(mask, mask_oracle(bank[0][own], bank[1][own], *bank, alpha, own))
        assert mask.any()

    def test_without_itself_the_only_row_is_no_neighbor(self):
        row = directions(0)
        assert not neighbor_mask(row, row, row, row, 0.9, torch.tensor([0])).any()

    def test_comparison_is_strict(self):
        bank = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        assert not neighbor_mask(bank[:1], bank[:1], bank, bank, alpha=1.0).any()

    def test_no_neighbors_when_nothing_is_similar(self):
        query, bank = directions(0), directions(100, 180)
        assert not neighbor_mask(query, query, bank, bank).any()

    def test_a_query_in_the_bank_is_its_own_neighbor(self):
        static, dynamic = random_rows(0, 9, 16).float(), random_rows(1, 9, 16).float()
        assert neighbor_mask(static, dynamic, static, dynamic).diagonal().all()

    def test_permuting_the_bank_permutes_the_mask(self):
        queries, bank = random_rows(0, 4, 3), random_rows(1, 12, 3)
        order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
        mask = neighbor_mask(queries, queries, bank, bank, 0.5)
        assert torch.equal(neighbor_mask(queries, queries, bank[order], bank[order], 0.5), mask[:, order])

    def test_shape_dtype_and_gradient(self):
        queries = random_rows(0, 3, 4).requires_grad_()
        mask = neighbor_mask(queries, queries, random_rows(1, 5, 4), random_rows(2, 5, 4))
        assert mask.shape == (3, 5)
        assert mask.dtype == torch.bool
        assert not mask.requires_grad

    @pytest.mark.parametrize(('queries', 'rows'), [(0, 3), (3, 0), (0, 0)])
    def test_empty(self, queries, rows):
        query, bank = random_rows(0, queries, 4), random_rows(1, rows, 4)
        assert neighbor_mask(query, query, bank, bank).shape == (queries, rows)

    def test_low_precision_bank(self):
        queries, bank = random_rows(0, 3, 8).float(), random_rows(1, 6, 8).bfloat16()
        mask = neighbor_mask(queries, queries, bank, bank, 0.5)
        assert torch.equal(mask, neighbor_mask(queries, queries, bank.float(), bank.float(), 0.5))

    @pytest.mark.parametrize('alpha', [-0.1, 1.5])
    def test_alpha_out_of_range(self, alpha):
        rows = random_rows(0, 2, 2)
        with pytest.raises(ValueError, match='alpha must lie in'):
            neighbor_mask(rows, rows, rows, rows, alpha)


class TestNeighborContrastive:
    @pytest.mark.parametrize('count_offset', [0, 1])
    def test_equals_a_plain_loop(self, count_offset):
        features, bank = 3 * random_rows(0, 6, 4), 2 * random_rows(1, 11, 4)
        mask = random_rows(2, 6, 11) > 0.5
        mask[4] = False
        loss = neighbor_contrastive_loss(features, bank, mask, 0.2, count_offset)
        expected = neighbor_oracle(features, bank, mask, 0.2, count_offset)
        assert float(loss) == pytest.approx(expected, rel=1e-9)

    def test_left_out_rows_are_no_negatives(self):
        features, bank = random_rows(0, 6, 4).requires_grad_(), random_rows(1, 11, 4)
        mask, left_out = random_rows(2, 6, 11) > 0.5, random_rows(3, 6, 11) > 0
        mask[4], left_out[5] = False, True
        loss = neighbor_contrastive_loss(features, bank, mask, 0.2, 1, left_out)
        expected = neighbor_oracle(features.detach(), bank, mask, 0.2, 1, left_out)
        assert loss.item() == pytest.approx(expected, rel=1e-9)
        loss.backward()
        assert features.grad.isfinite().all()

    def test_a_row_without_neighbors_and_negatives_gives_zero(self):
        features, everything = random_rows(0, 2, 4).requires_grad_(), torch.ones(2, 3, dtype=torch.bool)
        loss = neighbor_contrastive_loss(features, random_rows(1, 3, 4), ~everything, left_out=everything)
        loss.backward()
        assert loss == 0
        assert torch.equal(features.grad, torch.zeros_like(features))

    def test_hand_made_angles(self):
        features, bank = directions(0), directions(0, 90)
        loss = neighbor_contrastive_loss(features, bank, torch.tensor([[True, False]]), 1.0, 1)
        assert float(loss) == pytest.approx(-math.log(math.e / (math.e + 1)) / 2)

    def test_mean_is_over_all_queries(self):
        features, bank = random_rows(0, 2, 3), random_rows(1, 4, 3)
        mask = torch.tensor([[True, False, True, False], [False] * 4])
        both = neighbor_contrastive_loss(features, bank, mask)
        assert torch.isclose(both, neighbor_contrastive_loss(features[:1], bank, mask[:1]) / 2)

    def test_permuting_the_bank_changes_nothing(self):
        features, bank, mask = random_rows(0, 3, 4), random_rows(1, 9, 4), random_rows(2, 3, 9) > 0
        order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
        permuted = neighbor_contrastive_loss(features, bank[order], mask[:, order])
        assert torch.isclose(permuted, neighbor_contrastive_loss(features, bank, mask))

    @pytest.mark.parametrize('count_offset', [0, 1])
    @pytest.mark.parametrize(('queries', 'rows'), [(3, 5), (0, 5), (3, 0)])
    def test_without_neighbors_a_differentiable_zero(self, queries, rows, count_offset):
        features = random_rows(0, queries, 4).requires_grad_()
        mask = torch.zeros(queries, rows, dtype=torch.bool)
        loss = neighbor_contrastive_loss(features, random_rows(1, rows, 4), mask, count_offset=count_offset)
        loss.backward()
        assert loss.item() == 0
        assert not features.grad.any()

    def test_far_neighbors_keep_a_finite_gradient(self):
        # softmax probability exp(-40): below the 1e-8 at which the published code cuts the gradient off
        features = torch.tensor([[1.0, 0.1]], requires_grad=True)
        bank = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        loss = neighbor_contrastive_loss(features, bank, torch.tensor([[False, True]]), 0.05)
        loss.backward()
        assert torch.isfinite(features.grad).all()
        assert features.grad.abs().max() > 0

    def test_gradient_equals_finite_differences(self):
        features = random_rows(0, 3, 4).requires_grad_()
        bank, mask = random_rows(1, 6, 4), random_rows(2, 3, 6) > 0
        assert torch.autograd.gradcheck(lambda x: neighbor_contrastive_loss(x, bank, mask, 0.5), features)
