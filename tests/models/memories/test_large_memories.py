"""Memories in bfloat16, and what a loss against a large memory allocates."""

import pytest
import torch
import torch.nn.functional as F
from dispatch_records import DispatchRecord

from dscreid.models.losses import cluster_contrastive_loss, neighbor_contrastive_loss, neighbor_mask
from dscreid.models.memories import InstanceMemory
from dscreid.structures import TrackletFeatures

BATCH, ROWS, WIDTH = 8, 5000, 32


def points(seed, count, width=WIDTH):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def filled(dtype):
    memory = InstanceMemory(dtype=dtype)
    memory.reset(TrackletFeatures(points(0, ROWS), points(1, ROWS)))
    return memory


def loss_and_gradients(memory, alpha=0.7):
    static, dynamic = points(2, BATCH).requires_grad_(), points(3, BATCH).requires_grad_()
    rows = memory.features(torch.arange(BATCH))
    mask = neighbor_mask(rows.static, rows.dynamic, memory.static, memory.dynamic, alpha)
    loss = neighbor_contrastive_loss(static, memory.static, mask)
    loss = loss + neighbor_contrastive_loss(dynamic, memory.dynamic, mask)
    loss.backward()
    return loss.detach(), static.grad, dynamic.grad


def test_two_bytes_a_number():
    memory = filled('bfloat16')
    taken = sum(buffer.numel() * buffer.element_size() for buffer in memory.buffers())
    assert taken == 2 * 2 * ROWS * WIDTH


def test_losses_against_bfloat16_rows_are_float32_and_near_those_against_float32():
    low, full = (loss_and_gradients(filled(dtype)) for dtype in ('bfloat16', 'float32'))
    for value, expected in zip(low, full, strict=True):
        assert value.dtype == torch.float32
        # rounding of 2**-9 in a cosine, divided by the temperature of 0.05
        torch.testing.assert_close(value, expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))
    assert not torch.equal(low[0], full[0])


def test_updated_rows_stay_of_unit_length_and_others_bit_for_bit():
    memory = filled('bfloat16')
    before = memory.static.clone()
    rows = torch.tensor([3, 5, 3, -1])
    for step in range(50):
        memory.update(points(10 + step, 4), points(20 + step, 4), rows)
    lengths = memory.static.float().norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(ROWS), rtol=0, atol=2**-7)
    untouched = torch.ones(ROWS, dtype=torch.bool)
    untouched[[3, 5]] = False
    assert torch.equal(memory.static[untouched], before[untouched])
    assert not torch.equal(memory.static[3], before[3])


def test_rows_survive_a_copy_to_a_file_and_back(tmp_path):
    memory = filled('bfloat16')
    torch.save(dict(memory.named_buffers()), tmp_path / 'memory.pt')
    for name, buffer in torch.load(tmp_path / 'memory.pt', weights_only=True).items():
        assert buffer.dtype == torch.bfloat16
        assert torch.equal(buffer, getattr(memory, name))


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_nothing_larger_than_the_memory_or_its_logits_is_made(dtype):
    memory = filled(dtype)
    with DispatchRecord() as record:
        loss_and_gradients(memory)
    assert (BATCH, ROWS) in record.shapes  # the record sees what is made
    assert record.largest <= ROWS * max(WIDTH, BATCH)
    assert record.waiting() == []


def test_the_record_would_see_a_difference_of_all_pairs_and_a_wait():
    memory, queries = filled('float32'), points(2, BATCH)
    with DispatchRecord() as record:
        _ = (queries[:, None] - memory.static[None]).sum()
        _ = memory.static[memory.static[:, 0] > 0]
    assert record.largest == BATCH * ROWS * WIDTH
    assert record.waiting() == ['aten::nonzero']


def test_cluster_loss_makes_no_more_than_logits():
    centers, labels = F.normalize(points(4, ROWS), dim=1), torch.arange(BATCH) - 1
    features = points(5, BATCH).requires_grad_()
    with DispatchRecord() as record:
        cluster_contrastive_loss(features, centers, labels).backward()
    assert record.largest <= ROWS * max(WIDTH, BATCH)
    assert record.waiting() == []
