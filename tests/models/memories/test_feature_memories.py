"""Centres and momentum updates against plain loops."""

import pytest
import torch
import torch.nn.functional as F
from dispatch_records import DispatchRecord
from oracles.memory_update_oracle import least_similar, update_in_turns

from dscreid.errors import ConfigError
from dscreid.models.memories.feature_memory import (
    ClusterMemory,
    InstanceMemory,
    cluster_centers,
    hardest_rows,
    momentum_update_,
)
from dscreid.structures import TrackletFeatures


def rows(seed, count, width=5):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def sequential_oracle(memory, values, targets, momentum, normalize=True):
    """Equation (2), one sample after another in the order of the batch."""
    memory = memory.clone()
    for value, row in zip(values, targets.tolist(), strict=True):
        if row >= 0:
            memory[row] = momentum * memory[row] + (1 - momentum) * value
            if normalize:
                memory[row] = F.normalize(memory[row], dim=0)
    return memory


TARGETS = torch.tensor([2, 0, 2, -1, 2, 1, 0, -1, 2])


@pytest.mark.parametrize('normalize', [True, False])
def test_centers_are_the_means_of_their_members(normalize):
    features, labels = rows(0, 6), torch.tensor([1, 0, -1, 1, 1, 0])
    centers = cluster_centers(features, labels, 2, normalize)
    expected = torch.stack([features[[1, 5]].mean(0), features[[0, 3, 4]].mean(0)])
    torch.testing.assert_close(centers, F.normalize(expected, dim=1) if normalize else expected)


@pytest.mark.parametrize('normalize', [True, False])
@pytest.mark.parametrize('momentum', [0.1, 0.9])
def test_update_is_exactly_sequential(momentum, normalize):
    memory, values = F.normalize(rows(0, 4), dim=1), rows(1, len(TARGETS))
    expected = sequential_oracle(memory, values, TARGETS, momentum, normalize)
    momentum_update_(memory, values, TARGETS, momentum, normalize)
    torch.testing.assert_close(memory, expected, rtol=0, atol=1e-6)


def test_order_of_the_batch_counts():
    first, second = F.normalize(rows(0, 1), dim=1), F.normalize(rows(0, 1), dim=1)
    values, zeros = rows(1, 2), torch.zeros(2, dtype=torch.int64)
    momentum_update_(first, values, zeros, 0.1)
    momentum_update_(second, values.flip(0), zeros, 0.1)
    assert not torch.allclose(first, second)


def test_momentum_one_changes_nothing_and_zero_copies_the_last():
    memory = F.normalize(rows(0, 4), dim=1)
    kept, copied, values = memory.clone(), memory.clone(), F.normalize(rows(1, len(TARGETS)), dim=1)
    momentum_update_(kept, values, TARGETS, 1.0)
    torch.testing.assert_close(kept, memory, rtol=0, atol=1e-6)
    momentum_update_(copied, values, TARGETS, 0.0)
    torch.testing.assert_close(copied, torch.stack([values[6], values[5], values[8], memory[3]]))


@pytest.mark.parametrize('targets', [[], [-1, -1]])
def test_update_with_nothing_to_do(targets):
    memory = rows(0, 3)
    before = memory.clone()
    momentum_update_(memory, rows(1, len(targets)), torch.tensor(targets, dtype=torch.int64), 0.5)
    assert torch.equal(memory, before)


def test_update_of_an_empty_memory():
    momentum_update_(torch.empty(0, 5), rows(0, 2), torch.tensor([-1, -1]), 0.5)
    assert hardest_rows(torch.empty(0, 5), rows(0, 2), torch.tensor([-1, -1])).tolist() == [-1, -1]


def crowded_batch(seed, width=768, count=48):
    """A memory, and a batch that meets its rows often, some never, some values twice, a third of them outliers."""
    generator = torch.Generator().manual_seed(seed)
    memory = F.normalize(rows(seed, 9, width), dim=1)
    values = F.normalize(rows(seed + 100, count, width), dim=1)
    values[count // 2 :: 3] = values[: len(values[count // 2 :: 3])]
    targets = torch.randint(-4, 9, (count,), generator=generator).clamp(min=-1)
    return memory, values, targets


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize('normalize', [True, False])
@pytest.mark.parametrize('seed', range(4))
def test_update_equals_turns_by_masks_bit_for_bit(seed, normalize, dtype):
    memory, values, targets = crowded_batch(seed)
    memory = memory.to(dtype)
    expected = memory.clone()
    update_in_turns(expected, values, targets, 0.1, normalize)
    most = int(torch.bincount(targets[targets >= 0]).max())
    for repeats in (None, most, most + 3):
        found = memory.clone()
        momentum_update_(found, values, targets, 0.1, normalize, repeats)
        assert torch.equal(found, expected)
    assert not torch.equal(expected, memory)


@pytest.mark.parametrize('seed', range(8))
def test_hardest_rows_equal_those_of_a_loop(seed):
    memory, values, targets = crowded_batch(seed)
    values[5] = values[8] = values[20] = -memory[3]  # ties of the least similar
    targets[[5, 8, 20]] = 3
    found = hardest_rows(memory, values, targets)
    assert torch.equal(found, least_similar(memory, values, targets))
    assert found[[5, 8, 20]].tolist() == [3, -1, -1]


@pytest.mark.parametrize('hard', [False, True])
def test_updates_wait_for_no_value(hard):
    memory, values, targets = crowded_batch(0)
    clusters = ClusterMemory(hard=hard)
    clusters.reset(TrackletFeatures(memory, memory), torch.arange(9), 9)
    with DispatchRecord() as record:
        clusters.update(values, values, targets, repeats=48)
    assert 'aten::index_put_' in record.names
    assert record.waiting() == []
    with DispatchRecord() as record:
        update_in_turns(memory, values, least_similar(memory, values, targets), 0.1)
    assert 'aten::_local_scalar_dense' in record.waiting()


def test_update_leaves_its_arguments_untouched():
    values = rows(1, len(TARGETS))
    values_before, targets_before = values.clone(), TARGETS.clone()
    momentum_update_(rows(0, 3), values, TARGETS, 0.5)
    assert torch.equal(values, values_before)
    assert torch.equal(TARGETS, targets_before)


def test_hardest_row_is_the_least_similar():
    memory = torch.eye(3)
    values = F.normalize(torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]]), dim=1)
    kept = hardest_rows(memory, values, torch.tensor([0, 0, 1, -1]))
    assert kept.tolist() == [-1, 0, 1, -1]


def test_hard_memory_updates_each_cluster_once():
    memory = ClusterMemory(momentum=0.0, hard=True)
    memory.reset(TrackletFeatures(torch.eye(2), torch.eye(2)), torch.tensor([0, 1]), 2)
    batch = F.normalize(torch.tensor([[1.0, 1.0], [1.0, 0.1]]), dim=1)
    memory.update(batch, batch, torch.tensor([0, 0]))
    torch.testing.assert_close(memory.static, torch.stack([batch[0], torch.tensor([0.0, 1.0])]))


def test_cluster_memory_follows_both_halves():
    features = TrackletFeatures(3 * rows(0, 6), 2 * rows(1, 6))
    labels = torch.tensor([0, 0, 1, 1, -1, 1])
    memory = ClusterMemory(momentum=0.1)
    memory.reset(features, labels, 2)
    unit = F.normalize(features.static, dim=1)
    start = F.normalize(torch.stack([unit[:2].mean(0), unit[[2, 3, 5]].mean(0)]), dim=1)
    torch.testing.assert_close(memory.static, start)
    static, dynamic, targets = rows(2, 4), rows(3, 4), torch.tensor([1, 1, -1, 0])
    before = memory.dynamic.clone()
    memory.update(static, dynamic, targets)
    unit = F.normalize(static, dim=1), F.normalize(dynamic, dim=1)
    torch.testing.assert_close(memory.static, sequential_oracle(start, unit[0], targets, 0.1))
    torch.testing.assert_close(memory.dynamic, sequential_oracle(before, unit[1], targets, 0.1))


@pytest.mark.parametrize('normalize_queries', [True, False])
def test_instance_memory_with_normalized_and_raw_queries(normalize_queries):
    features = TrackletFeatures(5 * rows(0, 4), 5 * rows(1, 4))
    memory = InstanceMemory(normalize_queries=normalize_queries)
    memory.reset(features)
    start, query = F.normalize(features.static, dim=1), 20 * rows(2, 1)
    torch.testing.assert_close(memory.static, start)
    memory.update(query, query, torch.tensor([3]))
    value = F.normalize(query, dim=1) if normalize_queries else query
    torch.testing.assert_close(memory.static, sequential_oracle(start, value, torch.tensor([3]), 0.9))


def test_instance_memory_owns_its_rows():
    features = TrackletFeatures(F.normalize(rows(0, 3), dim=1), F.normalize(rows(1, 3), dim=1))
    before = features.static.clone()
    memory = InstanceMemory(momentum=0.0)
    memory.reset(features)
    memory.update(rows(2, 3), rows(3, 3), torch.arange(3))
    assert torch.equal(features.static, before)


def test_low_precision_instances():
    memory = InstanceMemory(dtype='bfloat16')
    memory.reset(TrackletFeatures(rows(0, 4), rows(1, 4)))
    start = memory.static.float()
    query = F.normalize(rows(2, 2), dim=1)
    memory.update(query, query, torch.tensor([1, 1]))
    expected = sequential_oracle(start, query, torch.tensor([1, 1]), 0.9)
    assert memory.static.dtype == torch.bfloat16
    torch.testing.assert_close(memory.static.float(), expected, rtol=0, atol=1e-2)


def test_buffers_are_not_saved_and_may_change_their_size():
    memory = InstanceMemory()
    for count in (4, 7):
        memory.reset(TrackletFeatures(rows(0, count), rows(1, count)))
        assert len(memory) == count
    assert not memory.state_dict()
    assert memory.double().static.dtype == torch.float64


@pytest.mark.parametrize(
    ('kind', 'keywords', 'message'),
    [
        (ClusterMemory, {'momentum': 1.5}, 'ClusterMemory: momentum must lie in'),
        (InstanceMemory, {'momentum': -0.1}, 'InstanceMemory: momentum must lie in'),
        (InstanceMemory, {'dtype': 'int8'}, 'dtype must be one of'),
    ],
)
def test_bad_memory_values_are_named(kind, keywords, message):
    with pytest.raises(ConfigError, match=message):
        kind(**keywords)
