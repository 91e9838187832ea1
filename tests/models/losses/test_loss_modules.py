"""The losses as configs name them: weights, schedules and messages."""

import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.losses import (
    ClusterContrastiveLoss,
    CrossClusterLoss,
    NeighborContrastiveLoss,
    cluster_contrastive_loss,
    neighbor_contrastive_loss,
    neighbor_mask,
    soft_cluster_contrastive_loss,
)
from dscreid.registry import MODELS
from dscreid.structures import Modality, TrackletFeatures


def rows(seed, count, width=6):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_cluster_loss_is_the_weighted_function():
    module = MODELS.build({'type': 'ClusterContrastiveLoss', 'temperature': 0.1, 'weight': 3.0})
    features, memory, labels = rows(0, 4), rows(1, 2), torch.tensor([0, 1, 1, -1])
    assert torch.equal(module(features, memory, labels), 3 * cluster_contrastive_loss(features, memory, labels, 0.1))


def test_cluster_loss_with_groups_and_with_soft_targets():
    module = ClusterContrastiveLoss(temperature=0.1, weight=3.0)
    features, memory, labels = rows(0, 4), rows(1, 3), torch.tensor([0, 1, 2, -1])
    groups, soft = torch.tensor([0, 0, 1]), (rows(2, 4, 3).softmax(1), torch.tensor([1.0, 0.5, 0.0, 1.0]))
    assert torch.equal(
        module(features, memory, labels, groups=groups),
        3 * cluster_contrastive_loss(features, memory, labels, 0.1, groups),
    )
    sides = torch.tensor([1, 0, -1])
    assert torch.equal(
        module(features, memory, labels, unpaired=sides),
        3 * cluster_contrastive_loss(features, memory, labels, 0.1, unpaired=sides),
    )
    with pytest.raises(ConfigError, match='unpaired_negatives=False cannot be used with soft targets'):
        module(features, memory, labels, soft=soft, unpaired=sides)
    assert torch.equal(
        module(features, memory, labels, soft=soft),
        3 * soft_cluster_contrastive_loss(features, memory, *soft, 0.1),
    )


def test_cross_loss_is_weighted_and_sums_both_halves():
    module = MODELS.build({'type': 'CrossClusterLoss', 'weight': 0.5, 'temperature': 0.1})
    static, dynamic, labels = rows(0, 3), rows(1, 3), torch.tensor([1, -1, 0])
    centers = TrackletFeatures(rows(2, 2), rows(3, 2))
    expected = cluster_contrastive_loss(static, centers.static, labels, 0.1)
    expected = expected + cluster_contrastive_loss(dynamic, centers.dynamic, labels, 0.1)
    torch.testing.assert_close(module(static, dynamic, centers, labels), 0.5 * expected)
    soft = rows(4, 3, 2).softmax(1), torch.tensor([0.1, 0.2, 0.3])
    expected = soft_cluster_contrastive_loss(static, centers.static, *soft, 0.1)
    expected = expected + soft_cluster_contrastive_loss(dynamic, centers.dynamic, *soft, 0.1)
    torch.testing.assert_close(module(static, dynamic, centers, labels, soft), 0.5 * expected)


def test_cross_loss_alternates_by_the_epochs_number():
    module = CrossClusterLoss(begin=1, end=4)
    rgb, ir = (Modality.RGB,), (Modality.IR,)
    assert [module.queries_at(epoch) for epoch in range(5)] == [(), ir, rgb, ir, ()]
    assert CrossClusterLoss(alternate=False).queries_at(3) == (Modality.RGB, Modality.IR)
    assert CrossClusterLoss(weight=0).queries_at(0) == ()


@pytest.mark.parametrize('wrong', [{'temperature': 0}, {'weight': -1}])
def test_cross_loss_checks_its_range(wrong):
    with pytest.raises(ConfigError, match='temperature > 0 and weight >= 0'):
        CrossClusterLoss(**wrong)


def test_neighbor_loss_sums_both_halves_over_one_mask():
    module = NeighborContrastiveLoss(alpha=0.5, temperature=0.2, count_offset=0, static_weight=0.5)
    static, dynamic = rows(0, 3), rows(1, 3)
    queries, bank = TrackletFeatures(rows(2, 3), rows(3, 3)), TrackletFeatures(rows(4, 12), rows(5, 12))
    mask = neighbor_mask(queries.static, queries.dynamic, bank.static, bank.dynamic, 0.5)
    expected = 0.5 * neighbor_contrastive_loss(static, bank.static, mask, 0.2, 0)
    expected = expected + neighbor_contrastive_loss(dynamic, bank.dynamic, mask, 0.2, 0)
    assert mask.any()
    assert torch.equal(module(static, dynamic, queries, bank), expected)


def test_neighbor_loss_leaves_out_only_what_it_is_told_to():
    static, dynamic, own = rows(0, 3), rows(1, 3), torch.tensor([4, 0, 7])
    bank = TrackletFeatures(rows(4, 12), rows(5, 12))
    queries, same = TrackletFeatures(bank.static[own], bank.dynamic[own]), rows(6, 3, 12) > 0

    def loss(**keywords):
        return NeighborContrastiveLoss(alpha=0.3, **keywords)(static, dynamic, queries, bank, own, same)

    def expected(own_rows, left_out):
        mask = neighbor_mask(queries.static, queries.dynamic, bank.static, bank.dynamic, 0.3, own_rows)
        halves = (static, bank.static), (dynamic, bank.dynamic)
        return sum(neighbor_contrastive_loss(*half, mask, left_out=left_out) for half in halves)

    assert torch.equal(loss(), expected(None, None))
    assert torch.equal(loss(include_self=False), expected(own, None))
    assert torch.equal(loss(own_cluster_negatives=False), expected(None, same))


def test_weight_schedule():
    module = NeighborContrastiveLoss(weight=0.5, unified_weight=0.1, begin=10, end=20)
    assert [module.weight_at(epoch, False) for epoch in (0, 9, 10, 19, 20)] == [0, 0, 0.5, 0.5, 0]
    assert module.weight_at(10, True) == 0.1
    assert NeighborContrastiveLoss(weight=0.7, unified_weight=None).weight_at(0, True) == 0.7


def test_alternating_pairs():
    module = NeighborContrastiveLoss(pairs=('vt', 'tv'), alternate=True)
    assert [module.pairs_at(epoch) for epoch in range(3)] == [('vt',), ('tv',), ('vt',)]
    assert NeighborContrastiveLoss(pairs=('vt', 'tv')).pairs_at(1) == ('vt', 'tv')


def test_weights_of_pairs():
    module = NeighborContrastiveLoss(pairs=('vt', 'tv'), pair_weights=(0.1, 1))
    assert module.pair_weights == {'vt': 0.1, 'tv': 1}
    assert NeighborContrastiveLoss(pairs=('vt', 'tv')).pair_weights == {'vt': 1, 'tv': 1}


@pytest.mark.parametrize(
    ('kind', 'keywords', 'message'),
    [
        (ClusterContrastiveLoss, {'temperature': 0}, 'needs temperature > 0'),
        (NeighborContrastiveLoss, {'pairs': ('vx',)}, 'pairs must list some of'),
        (NeighborContrastiveLoss, {'pairs': 'vv'}, 'pairs must list some of'),
        (NeighborContrastiveLoss, {'pairs': ()}, 'pairs must list some of'),
        (NeighborContrastiveLoss, {'alpha': 1.2}, 'alpha in'),
        (NeighborContrastiveLoss, {'count_offset': -1}, 'count_offset'),
        (NeighborContrastiveLoss, {'pair_weights': (1,)}, r"pair_weights must give each of \['vv', 'tt'\]"),
        (NeighborContrastiveLoss, {'pair_weights': (1, -1)}, 'a factor of at least 0'),
    ],
)
def test_bad_values_are_named(kind, keywords, message):
    with pytest.raises(ConfigError, match=message):
        kind(**keywords)


@pytest.mark.parametrize('factors', [(1.0,), (1.0, -0.1)])
def test_pair_weights_belong_to_the_pairs(factors):
    module = NeighborContrastiveLoss(pairs=('vt', 'tv'), pair_weights=(0.1, 1.0))
    assert module.pair_weights == {'vt': 0.1, 'tv': 1.0}
    with pytest.raises(ConfigError, match='factor of at least 0'):
        NeighborContrastiveLoss(pairs=('vt', 'tv'), pair_weights=factors)
