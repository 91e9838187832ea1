"""Stage 2: losses against memories, whole iterations, schedules and what is saved."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from dispatch_records import DispatchRecord
from mmengine.optim import OptimWrapper

from dscreid.engine.hooks import MemoryUpdateHook
from dscreid.models.losses import cluster_contrastive_loss, neighbor_contrastive_loss, neighbor_mask
from dscreid.models.reid import AdaptiveReID, SourceReID
from dscreid.pseudo_labels import PseudoLabels
from dscreid.registry import MODELS
from dscreid.structures import Modality, TrackletFeatures

INTRA = {'type': 'NeighborContrastiveLoss', 'pairs': ('vv', 'tt'), 'alpha': 0.3}
CROSS = {'pairs': ('vt', 'tv'), 'alpha': 0.3, 'weight': 0.5, 'begin': 2}
RGB = np.arange(0, 24, 2)
IR = np.arange(1, 21, 2)


def features(seed, count):
    rows = torch.randn(2, count, 8, generator=torch.Generator().manual_seed(seed))
    return TrackletFeatures(*F.normalize(rows, dim=2))


def build(shared=False, reset=True, **keywords):
    keywords = {'neighbor_losses': [INTRA, CROSS]} | keywords
    model = MODELS.build({'type': 'AdaptiveReID', 'backbone': {'type': 'TinyEncoder'}, **keywords})
    if reset:
        labels = PseudoLabels(np.arange(12) % 4 - 1, np.arange(10) % 3, shared)
        model.reset_memories(features(0, 12), features(1, 10), labels, RGB, IR)
    return model


def expected_losses(model, inputs, samples, pairs, weights):
    """All losses of a batch from the memories, spelt out."""
    halves = {}
    with torch.no_grad():
        raw = model.extract_feat(inputs)
    for name, values in zip(('static', 'dynamic'), raw, strict=True):
        halves[name] = F.batch_norm(values, None, None, training=True)
    batch = model.memories.locate([s.index for s in samples], [s.modality for s in samples])
    result = {}
    for name, values in halves.items():
        result[f'loss_id_{name}'] = sum(
            cluster_contrastive_loss(
                values[batch.members[m]],
                getattr(model.memories.cluster_memory(m), name),
                batch.labels[batch.members[m]],
            )
            for m in Modality
        )
    letters = {'v': Modality.RGB, 't': Modality.IR}
    for pair, weight in zip(pairs, weights, strict=True):
        query, bank = (model.memories.instance_memory(letters[letter]) for letter in pair)
        anchors = [i for i in batch.members[letters[pair[0]]].tolist() if batch.labels[i] >= 0]
        rows = batch.rows[anchors]
        mask = neighbor_mask(query.static[rows], query.dynamic[rows], bank.static, bank.dynamic, 0.3)
        result[f'loss_neighbor_{pair}'] = weight * sum(
            neighbor_contrastive_loss(halves[name][anchors], getattr(bank, name), mask)
            for name in ('static', 'dynamic')
        )
    return result


@pytest.mark.parametrize('shared', [False, True])
def test_neighbor_losses_know_own_rows_and_comparable_labels(tracklets, shared, monkeypatch):
    """Within a modality, and across modalities once labels are shared; outliers have no cluster."""
    seen = {}

    def record(static, dynamic, queries, bank, own_rows, same_cluster):
        seen[len(seen)] = own_rows, same_cluster
        return static.sum() * 0

    model = build(shared, neighbor_losses=[INTRA, CROSS | {'begin': 0}])
    for module in model.neighbor_losses:
        monkeypatch.setattr(module, 'forward', record)
    model(*tracklets(BATCH), mode='loss')
    (vv_rows, vv), (tt_rows, tt), *across = seen.values()
    rgb, ir = np.arange(12) % 4 - 1, np.arange(10) % 3
    visible, infrared = [1, 2, 3, 2], [0, 1, 3]  # rows of the anchors
    assert (vv_rows.tolist(), tt_rows.tolist()) == (visible, infrared)
    assert vv.tolist() == [[bool(rgb[row] == label) for label in rgb] for row in visible]
    assert tt.tolist() == [[bool(ir[row] == label) for label in ir] for row in infrared]
    assert all(rows is None for rows, _ in across)
    if shared:
        assert across[0][1].tolist() == [[bool(rgb[row] == label) for label in ir] for row in visible]
        assert across[1][1].tolist() == [[bool(ir[row] == label) for label in rgb] for row in infrared]
    else:
        assert all(same is None for _, same in across)


# visible 0 is an outlier, 4 appears in two views
BATCH = [1, 3, 7, 0, 2, 4, 6, 4]


@pytest.mark.parametrize(
    ('shared', 'epoch', 'pairs', 'weights'),
    [
        (False, 0, ['vv', 'tt'], [1.0, 1.0]),
        (False, 2, ['vv', 'tt', 'vt', 'tv'], [1.0, 1.0, 0.5, 0.5]),
        (True, 2, ['vv', 'tt', 'vt', 'tv'], [0.1, 0.1, 0.1, 0.1]),
    ],
)
def test_losses_of_equation_25(tracklets, shared, epoch, pairs, weights):
    model = build(shared)
    model.set_epoch(epoch)
    inputs, samples = tracklets(BATCH)
    losses = model(inputs, samples, mode='loss')
    expected = expected_losses(model, inputs, samples, pairs, weights)
    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name])
        assert loss > 0


@pytest.mark.parametrize('shared', [False, True])
def test_whole_iterations_learn_and_move_the_memories(tracklets, shared):
    model = build(shared).train()
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), lr=0.01))
    inputs, samples = tracklets(BATCH)
    totals = []
    for _ in range(15):
        before = model.memories.instance_memory(Modality.RGB).static.clone()
        total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
        optimizer.update_params(total)
        assert torch.equal(model.memories.instance_memory(Modality.RGB).static, before)
        model.update_memories()
        totals.append(total.item())
    after = model.memories.instance_memory(Modality.RGB).static
    moved = (after != before).any(dim=1).nonzero()[:, 0].tolist()
    assert moved == [0, 1, 2, 3]  # visible tracklets 0 (the outlier), 2, 4 and 6
    torch.testing.assert_close(after.norm(dim=1), torch.ones(12))
    assert np.isfinite(totals).all()
    assert totals[-1] < totals[0]


def test_accumulated_gradients_are_means_and_memories_follow_each_batch(tracklets):
    """The step is one on the mean of both gradients; the second loss sees what the first batch left in the memories."""
    batches = [tracklets([1, 3, 0, 2, 4], seed=0), tracklets([5, 1, 2, 6, 0], seed=1)]
    model, plain, stale = build(True).train(), build(True).train(), build(True).train()
    start = [parameter.detach().clone() for parameter in model.parameters()]
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.5), accumulative_counts=2)
    runner = SimpleNamespace(model=model)
    for number, batch in enumerate(batches):
        memories = [memory.clone() for memory in model.memories.buffers()]
        wrapper.update_params(sum(model.loss(*batch).values()))
        MemoryUpdateHook().after_train_iter(runner, number)
        assert not all(map(torch.equal, memories, model.memories.buffers()))
        assert number or all(map(torch.equal, start, model.parameters()))
    for batch in batches:
        sum(plain.loss(*batch).values()).backward()
        plain.update_memories()
        sum(stale.loss(*batch).values()).backward()
    moved = 0
    for before, after, mean in zip(start, model.parameters(), plain.parameters(), strict=True):
        if mean.grad is not None:
            moved += 1
            torch.testing.assert_close(after, before - 0.5 * mean.grad / 2, rtol=1e-5, atol=1e-6)
    assert moved == 6
    for found, expected in zip(model.memories.buffers(), plain.memories.buffers(), strict=True):
        assert torch.equal(found, expected)
    assert not torch.allclose(plain.backbone.static.weight.grad, stale.backbone.static.weight.grad, rtol=1e-3)


def test_update_uses_the_features_that_the_losses_saw(tracklets):
    model = build(memories={'instance': {'momentum': 0.0}})
    inputs, samples = tracklets([1, 3, 2])
    static = F.batch_norm(model.extract_feat(inputs)[0], None, None, training=True)
    model(inputs, samples, mode='loss')
    model.update_memories()
    rows = model.memories.instance_memory(Modality.IR).static[:2]
    torch.testing.assert_close(rows, F.normalize(static[:2], dim=1).detach())


def test_batch_of_one_modality(tracklets):
    losses = build()(*tracklets([2, 4, 6]), mode='loss')
    assert losses['loss_neighbor_tt'] == 0
    assert losses['loss_id_static'] > 0


def test_batch_of_outliers_alone(tracklets):
    model = build()
    losses = model(*tracklets([0, 8, 16]), mode='loss')
    total = sum(losses.values())
    total.backward()
    assert total == 0
    model.update_memories()


def test_raw_retrieval_trains_raw_features(tracklets):
    model = build(retrieval='raw', neighbor_losses=())
    inputs, samples = tracklets([1, 3])
    losses = model(inputs, samples, mode='loss')
    batch = model.memories.locate([1, 3], ['ir', 'ir'])
    centers = model.memories.cluster_memory(Modality.IR).static
    expected = cluster_contrastive_loss(model.extract_feat(inputs)[0], centers, batch.labels)
    torch.testing.assert_close(losses['loss_id_static'], expected)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_two_losses_of_one_pair_add_up(tracklets):
    inputs, samples = tracklets(BATCH)
    once = build(neighbor_losses=[INTRA])(inputs, samples, mode='loss')
    twice = build(neighbor_losses=[INTRA, INTRA])(inputs, samples, mode='loss')
    torch.testing.assert_close(twice['loss_neighbor_vv'], 2 * once['loss_neighbor_vv'])


def test_memories_are_not_saved_and_a_source_model_fits():
    model = build()
    assert not [name for name in model.state_dict() if 'memor' in name or 'loss' in name]
    source = SourceReID({'type': 'TinyEncoder'}, num_classes=3)
    weights = {name: value for name, value in source.state_dict().items() if '_head' not in name}
    model.load_state_dict(weights, strict=True)
    model.load_state_dict(build(shared=True).state_dict(), strict=True)


def test_loss_before_the_memories_is_explained(tracklets):
    with pytest.raises(RuntimeError, match='call reset_memories'):
        build(reset=False)(*tracklets([0]), mode='loss')


def test_default_has_no_neighbor_losses(tracklets):
    model = AdaptiveReID({'type': 'TinyEncoder'})
    labels = PseudoLabels(np.zeros(12, np.int64), np.zeros(10, np.int64), False)
    model.reset_memories(features(0, 12), features(1, 10), labels, RGB, IR)
    assert set(model(*tracklets(BATCH), mode='loss')) == {'loss_id_static', 'loss_id_dynamic'}


def test_labels_of_data_samples_are_never_read(tracklets):
    inputs, samples = tracklets(BATCH)
    _, labelled = tracklets(BATCH, labels=list(range(8)))
    plain, informed = build()(inputs, samples, mode='loss'), build()(inputs, labelled, mode='loss')
    assert all(torch.equal(plain[name], informed[name]) for name in plain)


def test_pair_weights_scale_single_pairs(tracklets):
    inputs, samples = tracklets(BATCH)
    even = build(neighbor_losses=[{**CROSS, 'begin': 0}])(inputs, samples, mode='loss')
    scaled = {**CROSS, 'begin': 0, 'pair_weights': (0.1, 2.0)}
    losses = build(neighbor_losses=[scaled])(inputs, samples, mode='loss')
    torch.testing.assert_close(losses['loss_neighbor_vt'], 0.1 * even['loss_neighbor_vt'])
    torch.testing.assert_close(losses['loss_neighbor_tv'], 2 * even['loss_neighbor_tv'])


def test_a_pair_that_is_switched_off_gives_no_term(tracklets):
    """A term of 0 would look like a loss that found nothing."""
    off = {**CROSS, 'begin': 0, 'pair_weights': (0, 1)}
    losses = build(neighbor_losses=[off])(*tracklets(BATCH), mode='loss')
    assert 'loss_neighbor_vt' not in losses
    assert losses['loss_neighbor_tv'] > 0


def test_a_pair_has_a_factor_of_its_own(tracklets):
    inputs, samples = tracklets([1, 3, 0, 2])
    model = build(neighbor_losses=[CROSS | {'begin': 0}])
    plain = model(inputs, samples, mode='loss')
    options = CROSS | {'type': 'NeighborContrastiveLoss', 'begin': 0, 'pair_weights': (0.25, 1)}
    model.neighbor_losses[0] = MODELS.build(options)
    scaled = model(inputs, samples, mode='loss')
    assert plain['loss_neighbor_vt'] > 0
    assert scaled['loss_neighbor_vt'] == plain['loss_neighbor_vt'] * 0.25
    assert scaled['loss_neighbor_tv'] == plain['loss_neighbor_tv']


@pytest.mark.parametrize('hard', [False, True])
@pytest.mark.parametrize('shared', [False, True])
def test_an_iteration_waits_for_no_value(tracklets, shared, hard):
    """On a GPU no operator of losses, gradients, step and update of the memories needs a value on the host."""
    model = build(shared, memories={'cluster': {'hard': hard}})
    model.set_epoch(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)  # as runs on a GPU have it
    inputs, samples = tracklets(BATCH)
    before = [memory.clone() for memory in model.memories.buffers()]
    with DispatchRecord() as record:
        losses = model.loss(inputs, samples)
        sum(losses.values()).backward()
        optimizer.step()
        model.update_memories()
    assert len(losses) == 6
    after = list(model.memories.buffers())
    assert sum(not torch.equal(*pair) for pair in zip(before, after, strict=True)) == (6 if shared else 8)
    assert record.waiting() == []


# ---- infrared tones of visible colors


@pytest.mark.parametrize('backbone', ['TinyEncoder', 'TinyTwoStreamEncoder'])
def test_in_evaluation_visible_tracklets_are_averaged_with_their_infrared_look(tracklets, backbone):
    model = build(reset=False, backbone={'type': backbone}, data_preprocessor=dict(tones=dict()))
    inputs, samples = tracklets([0, 1, 2, 4, 3])
    modalities = model.modalities_of(samples)
    assert modalities == ['rgb', 'ir', 'rgb', 'rgb', 'ir']
    told = (modalities,) if backbone == 'TinyTwoStreamEncoder' else ()
    plain = model.backbone(inputs, *told)
    model.eval()
    for given, expected in zip(model.extract_feat(inputs, modalities), plain, strict=True):
        assert torch.equal(given, expected)  # nothing is known yet

    table = torch.rand(33, 33, 33, generator=torch.Generator().manual_seed(0))
    model.data_preprocessor.learn_tones(table)
    preprocessor = model.data_preprocessor
    seen = preprocessor.normalize(preprocessor.translate(preprocessor.denormalize(inputs)))
    looks = model.backbone(seen, *((['ir'] * 5,) if told else ()))
    for given, own, look in zip(model.extract_feat(inputs, modalities), plain, looks, strict=True):
        torch.testing.assert_close(given[[0, 2, 3]], (own + look)[[0, 2, 3]] / 2)
        assert torch.equal(given[[1, 4]], own[[1, 4]])
    infrared = model.extract_feat(inputs[[1, 4]], ['ir', 'ir'])
    assert torch.equal(infrared[0], plain[0][[1, 4]])

    model.train()
    for given, expected in zip(model.extract_feat(inputs, modalities), plain, strict=True):
        assert torch.equal(given, expected)  # training has views of its own


def test_known_tones_need_the_modalities(tracklets):
    model = build(reset=False, data_preprocessor=dict(tones=dict())).eval()
    model.data_preprocessor.learn_tones(torch.zeros(33, 33, 33))
    with pytest.raises(ValueError, match='needs the modality of each tracklet'):
        model.extract_feat(tracklets([0, 1])[0])


def test_a_model_without_tones_needs_no_modalities():
    assert not build(reset=False).needs_modalities
    assert build(reset=False, data_preprocessor=dict(tones=dict())).needs_modalities
