"""Stage 2 on labels that say more than one cluster per tracklet: matched clusters, distributions, groups."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from dispatch_records import DispatchRecord
from mmengine.optim import OptimWrapper
from scipy.sparse import csr_array

from dscreid.errors import ConfigError
from dscreid.models.losses import (
    cluster_contrastive_loss,
    mean_hard_contrastive_loss,
    relaxed_contrastive_loss,
    soft_cluster_contrastive_loss,
)
from dscreid.pseudo_labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.registry import MODELS
from dscreid.structures import Modality, TrackletFeatures

RGB = np.arange(0, 24, 2)
IR = np.arange(1, 21, 2)
OWN = np.arange(12) % 4 - 1, np.arange(10) % 3
CROSS = CrossLabels((np.arange(12) + 1) % 3, np.arange(10) % 4 - 1)
# visible 0 is an outlier, 4 appears in two views, infrared 1 has no cross label
BATCH = [1, 3, 7, 0, 2, 4, 6, 4]


def features(seed, count):
    rows = torch.randn(2, count, 8, generator=torch.Generator().manual_seed(seed))
    return TrackletFeatures(*F.normalize(rows, dim=2))


def build(labels, epoch=0, **keywords):
    model = MODELS.build({'type': 'AdaptiveReID', 'backbone': {'type': 'TinyEncoder'}, **keywords})
    model.set_epoch(epoch)
    model.reset_memories(features(0, 12), features(1, 10), labels, RGB, IR)
    return model


def plain(**parts):
    return PseudoLabels(*OWN, False, **parts)


def soft_targets(seed, rows, columns):
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.ones(columns), rows).astype(np.float32)
    return SoftTargets(csr_array(shares), generator.random(rows, np.float32))


def halves_of(model, inputs):
    """Both halves of a batch as the losses see them."""
    with torch.no_grad():
        return [F.batch_norm(raw, None, None, training=True) for raw in model.extract_feat(inputs)]


def rows_of(modality):
    """Positions in BATCH and rows in the labels of one modality."""
    positions = [i for i, index in enumerate(BATCH) if (index % 2 == 1) is (modality is Modality.IR)]
    return positions, [BATCH[i] // 2 for i in positions]


def centers_of(model, modality):
    memory = model.memories.cluster_memory(modality)
    return memory.static, memory.dynamic


@pytest.mark.parametrize(
    ('options', 'epoch', 'pairs'),
    [
        ({}, 0, ['vt']),
        ({}, 1, ['tv']),
        ({'alternate': False}, 1, ['vt', 'tv']),
        ({'begin': 2}, 1, []),
        ({'end': 1}, 1, []),
    ],
)
def test_cross_loss_in_its_epochs(tracklets, options, epoch, pairs):
    model = build(plain(cross=CROSS), epoch, cross_loss=options)
    inputs, samples = tracklets(BATCH)
    losses = model(inputs, samples, mode='loss')
    assert set(losses) == {'loss_id_static', 'loss_id_dynamic', *(f'loss_cross_{pair}' for pair in pairs)}
    for pair in pairs:
        modality = {'vt': Modality.RGB, 'tv': Modality.IR}[pair]
        positions, rows = rows_of(modality)
        labels = torch.from_numpy(CROSS.of(modality)[rows])
        expected = sum(
            cluster_contrastive_loss(half[positions], centers, labels)
            for half, centers in zip(halves_of(model, inputs), centers_of(model, modality.other), strict=True)
        )
        torch.testing.assert_close(losses[f'loss_cross_{pair}'], 0.25 * expected)


def test_soft_targets_of_both_kinds(tracklets):
    soft = {Modality.RGB: soft_targets(0, 12, 3), Modality.IR: soft_targets(1, 10, 3)}
    cross_soft = {Modality.RGB: soft_targets(2, 12, 3), Modality.IR: soft_targets(3, 10, 3)}
    labels = plain(soft=soft, cross=CrossLabels(CROSS.rgb, CROSS.ir, cross_soft))
    model = build(labels, cross_loss={'weight': 3.0, 'alternate': False})
    inputs, samples = tracklets(BATCH)
    losses = model(inputs, samples, mode='loss')
    halves = halves_of(model, inputs)

    def expected(targets, modality, memory_of, half):
        positions, rows = rows_of(modality)
        shares = torch.from_numpy(targets[modality].probabilities.toarray()[rows])
        weights = torch.from_numpy(targets[modality].weights[rows])
        return soft_cluster_contrastive_loss(
            halves[half][positions], centers_of(model, memory_of)[half], shares, weights
        )

    for half, name in enumerate(('static', 'dynamic')):
        total = sum(expected(soft, modality, modality, half) for modality in Modality)
        torch.testing.assert_close(losses[f'loss_id_{name}'], total)
    for modality, pair in ((Modality.RGB, 'vt'), (Modality.IR, 'tv')):
        total = sum(expected(cross_soft, modality, modality.other, half) for half in (0, 1))
        torch.testing.assert_close(losses[f'loss_cross_{pair}'], 3 * total)


@pytest.mark.parametrize('negatives', [True, False])
def test_unpaired_clusters_may_be_no_negatives(tracklets, negatives):
    rgb, ir = np.arange(12) % 4 - 1, np.arange(10) % 3 + 1  # label 0 is visible only, 3 infrared only
    model = build(PseudoLabels(rgb, ir, shared=True), memories={'unpaired_negatives': negatives})
    inputs, samples = tracklets(BATCH)
    losses = model(inputs, samples, mode='loss')
    sides = None if negatives else torch.tensor([1, 0, 0, -1])
    for half, name in enumerate(('static', 'dynamic')):
        total = 0
        for modality, own in ((Modality.RGB, rgb), (Modality.IR, ir)):
            positions, rows = rows_of(modality)
            total = total + cluster_contrastive_loss(
                halves_of(model, inputs)[half][positions],
                centers_of(model, modality)[half],
                torch.from_numpy(own[rows]),
                unpaired=sides,
            )
        torch.testing.assert_close(losses[f'loss_id_{name}'], total)


def test_groups_restrict_the_identity_loss(tracklets):
    groups = {Modality.RGB: np.array([0, 1, 0]), Modality.IR: np.array([1, 1, 0])}
    model = build(plain(groups=groups))
    inputs, samples = tracklets(BATCH)
    losses = model(inputs, samples, mode='loss')
    for half, name in enumerate(('static', 'dynamic')):
        total = 0
        for modality, own in zip(Modality, OWN, strict=True):
            positions, rows = rows_of(modality)
            total = total + cluster_contrastive_loss(
                halves_of(model, inputs)[half][positions],
                centers_of(model, modality)[half],
                torch.from_numpy(own[rows]),
                groups=torch.from_numpy(groups[modality]),
            )
        torch.testing.assert_close(losses[f'loss_id_{name}'], total)
    ungrouped = build(plain())(inputs, samples, mode='loss')
    assert losses['loss_id_static'] < ungrouped['loss_id_static']


def test_extras_of_labels_change_nothing_where_no_loss_reads_them(tracklets):
    inputs, samples = tracklets(BATCH)
    first, second = (build(labels)(inputs, samples, mode='loss') for labels in (plain(), plain(cross=CROSS)))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_active_cross_loss_needs_cross_labels(tracklets):
    with pytest.raises(ConfigError, match=r'active in epoch 3, .* MatchingLabeler'):
        build(plain(), 2, cross_loss={})(*tracklets(BATCH), mode='loss')
    build(plain(), 2, cross_loss={'begin': 3})(*tracklets(BATCH), mode='loss')


@pytest.mark.parametrize('indices', [[2, 4, 6], [1, 3], [0, 8, 16]])
def test_batches_of_one_modality_and_of_outliers(tracklets, indices):
    model = build(plain(cross=CROSS), cross_loss={'alternate': False})
    losses = model(*tracklets(indices), mode='loss')
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    model.update_memories()


def test_whole_iterations_learn_with_cross_update(tracklets):
    memories = {'cross_update': True, 'cluster': {'hard': True}}
    model = build(plain(cross=CROSS), cross_loss={'alternate': False}, memories=memories).train()
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), lr=0.01))
    inputs, samples = tracklets(BATCH)
    totals = []
    for _ in range(15):
        total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
        optimizer.update_params(total)
        model.update_memories()
        totals.append(total.item())
    assert totals[-1] < totals[0]
    assert not [name for name in model.state_dict() if 'memor' in name or 'loss' in name]


def test_only_the_direction_of_the_epoch_updates_the_other_memory(tracklets):
    inputs, samples = tracklets([6])  # visible alone, cross label 1
    moved = []
    for epoch in (0, 1):
        model = build(plain(cross=CROSS), epoch, cross_loss={}, memories={'cross_update': True}, retrieval='raw')
        before = centers_of(model, Modality.IR)[0].clone()
        model(inputs, samples, mode='loss')
        model.update_memories()
        moved.append((centers_of(model, Modality.IR)[0] != before).any(dim=1).nonzero()[:, 0].tolist())
    assert moved == [[1], []]


TWO_CENTERS = dict(type='MeanHardContrastiveLoss', margin=0.1)
RPNR = dict(
    identity_loss=TWO_CENTERS,
    cross_loss=dict(weight=0.25, half_loss=TWO_CENTERS),
    hybrid_loss=dict(weight=0.5, half_loss=TWO_CENTERS),
    relaxed_loss=dict(scale=2.0),
    memories=dict(cluster=dict(type='MeanHardMemory')),
)


def prototype_labels(**parts):
    return plain(cross=CROSS, partners=np.array([2, 0, 1]), **parts)


@pytest.mark.parametrize(('epoch', 'modality'), [(0, Modality.RGB), (1, Modality.IR)])
def test_all_losses_of_rpnr(tracklets, epoch, modality):
    model = build(prototype_labels(), epoch, **RPNR)
    inputs, samples = tracklets(BATCH)
    model(inputs, samples, mode='loss')
    model.update_memories()  # mean and hard centers differ
    losses = model(inputs, samples, mode='loss')
    halves = halves_of(model, inputs)

    def contrast(modality, centers, labels):
        positions, rows = rows_of(modality)
        return [
            mean_hard_contrastive_loss(half[positions], *two, torch.from_numpy(labels[rows]), 0.05, 0.1)
            for half, two in zip(halves, centers, strict=True)
        ]

    own = dict(zip(Modality, OWN, strict=True))
    memory = model.memories.hybrid_memory()
    pair, letter = {Modality.RGB: ('vt', 'v'), Modality.IR: ('tv', 't')}[modality]
    expected = {
        f'loss_cross_{pair}': 0.25 * sum(contrast(modality, centers_of(model, modality.other), CROSS.of(modality))),
        f'loss_hybrid_{letter}': 0.5
        * sum(
            contrast(
                modality,
                (memory.static, memory.dynamic),
                CROSS.rgb if modality is Modality.RGB else own[Modality.IR],
            )
        ),
    }
    identity = [contrast(m, centers_of(model, m), own[m]) for m in Modality]
    for half, name in enumerate(('static', 'dynamic')):
        expected[f'loss_id_{name}'] = sum(terms[half] for terms in identity)
    for m, name in zip(Modality, 'vt', strict=True):
        terms = [relaxed_contrastive_loss(half[rows_of(m)[0]], 2.0) for half in halves]
        expected[f'loss_relaxed_{name}'] = 10 * sum(terms)
    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        assert loss > 0
        torch.testing.assert_close(loss, expected[name])


def test_whole_iterations_of_rpnr_learn(tracklets):
    model = build(prototype_labels(), **RPNR).train()
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), lr=0.01))
    inputs, samples = tracklets(BATCH)
    totals, before = [], model.memories.hybrid_memory().static.clone()
    for _ in range(15):
        total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
        optimizer.update_params(total)
        model.update_memories()
        totals.append(total.item())
    assert totals[-1] < totals[0]
    moved = (model.memories.hybrid_memory().static != before).any(dim=2).any(dim=0)
    assert moved.tolist() == [label in CROSS.rgb[rows_of(Modality.RGB)[1]] for label in range(3)]
    assert not [name for name in model.state_dict() if 'memor' in name or 'loss' in name]


def test_active_hybrid_loss_needs_partners(tracklets):
    with pytest.raises(ConfigError, match=r'hybrid_loss is active in epoch 3, .* PrototypeLabeler'):
        build(plain(cross=CROSS), 2, hybrid_loss={})(*tracklets(BATCH), mode='loss')
    build(plain(cross=CROSS), 2, hybrid_loss={'begin': 3})(*tracklets(BATCH), mode='loss')


@pytest.mark.parametrize('epoch', [0, 1])
@pytest.mark.parametrize('indices', [[2, 4, 6], [1, 3], [0, 8, 16], [1, 2]])
def test_small_batches_of_rpnr(tracklets, epoch, indices):
    model = build(prototype_labels(), epoch, **RPNR)
    losses = model(*tracklets(indices), mode='loss')
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    model.update_memories()


@pytest.mark.parametrize('epoch', [0, 1])
def test_an_iteration_of_rpnr_waits_for_no_value(tracklets, epoch):
    model = build(prototype_labels(), epoch, **RPNR)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    inputs, samples = tracklets(BATCH)
    with DispatchRecord() as record:
        sum(model.loss(inputs, samples).values()).backward()
        optimizer.step()
        model.update_memories()
    assert record.waiting() == []
