"""The pretended GPU finds what a GPU would not do, and computes everything else as the processor does."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pretended_device import HostWaits, PretendedTensor, pretended_gpu
from torch import nn


@pytest.fixture
def gpu():
    with pretended_gpu() as gpu:
        yield gpu


def waits(gpu):
    """The operations that waited, without their places."""
    return [place.split(' ', 1)[1] for place in gpu.waits.elements()]


def test_tensors_say_where_they_are(gpu):
    found = torch.arange(3).to('cuda', non_blocking=True)
    for tensor in (found, found + 1, found[1], torch.zeros(2, device='cuda'), found.new_ones(2), torch.stack([found])):
        assert isinstance(tensor, PretendedTensor)
        assert tensor.is_cuda
        assert tensor.device == torch.device('cuda', 0)
    assert found.to('cuda') is found
    assert type(found.cpu()) is torch.Tensor
    assert found.tolist() == [0, 1, 2]
    assert torch.cuda.is_available()


def test_there_is_no_gpu_afterwards():
    before = torch.cuda.is_available()
    with pretended_gpu():
        left = torch.ones(2, device='cuda')
    assert torch.cuda.is_available() is before
    with pytest.raises(RuntimeError, match=r'outside of pretended_gpu\(\)'):
        left + 1


@pytest.mark.parametrize(
    'mix',
    [
        lambda here, there: here + there,
        lambda here, there: torch.cat([here, there]),
        lambda here, there: here.add_(there),
        lambda here, there: here @ there,
        lambda here, there: torch.where(here > 0, here, there),
    ],
)
def test_devices_do_not_mix(gpu, mix):
    here, there = torch.ones(3, device='cuda'), torch.ones(3)
    for pair in ((here, there), (there, here)):
        with pytest.raises(RuntimeError, match='found at least two devices'):
            mix(*pair)
    assert torch.equal((here + torch.tensor(1.0)).cpu(), there + 1)  # a number may be on the host


def test_numpy_needs_a_copy(gpu):
    tensor = torch.ones(2, device='cuda')
    for convert in (np.asarray, torch.Tensor.numpy):
        with pytest.raises(TypeError, match=r'use Tensor\.cpu'):
            convert(tensor)


@pytest.mark.parametrize(
    ('run', 'expected'),
    [
        (lambda x: x.sum().item(), 'reading a value'),
        (lambda x: bool((x > 0).any()), 'reading a value'),
        (lambda x: int(x[0]), 'reading a value'),
        (lambda x: x.nonzero(), 'nonzero'),
        (lambda x: x[x > 0], 'indexing with a mask'),
        (lambda x: x.unique(), '_unique2'),
        (lambda x: x.cpu(), 'copy to the host'),
        (lambda x: x[[0, 1]], 'indexing with indices of the host'),
        (lambda x: x[torch.tensor([0])], 'indexing with indices of the host'),
        (lambda x: torch.tensor([1.0], device=x.device), 'copy to the GPU'),
        (lambda x: torch.ones(2).to(x.device), 'copy to the GPU'),
        (lambda x: x.copy_(torch.ones(3)), 'copy to the GPU'),
        (lambda x: torch.cuda.synchronize(), 'synchronize'),
    ],
)
def test_waiting_is_noted_with_its_line(gpu, run, expected):
    tensor = torch.ones(3).to('cuda', non_blocking=True)
    assert waits(gpu) == []
    run(tensor)
    assert waits(gpu) == [expected]
    assert all('tests/test_pretended_device.py:' in place for place in gpu.waits)
    with gpu.without_waiting('test_pretended_device.py'):
        run(tensor)
    with gpu.without_waiting('elsewhere.py'), pytest.raises(HostWaits, match=f'test_pretended_device.py:.* {expected}'):
        run(tensor)


def test_most_work_waits_for_nothing(gpu):
    x = torch.rand(4, 3).to('cuda', non_blocking=True)
    rows = torch.tensor([2, 0]).to(x.device, non_blocking=True)
    x[:, 1:].clamp(min=0)
    x[rows] = x[rows].softmax(1)
    x.topk(2)
    x.masked_fill(x > 1, 0).sort()
    torch.arange(3, device=x.device)
    F.normalize(x).sum().mean()
    assert waits(gpu) == []


def test_a_training_step_is_that_of_the_processor():
    """Convolution, normalization, attention, loss, gradients, clipping and a fused step, bit for bit."""

    def train(device):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(2), nn.Linear(36, 4)).to(
            device
        )
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
        inputs, labels = torch.rand(6, 3, 8, 8).to(device), torch.tensor([0, 1, 2, 3, 0, 1]).to(device)
        for _ in range(3):
            loss = F.cross_entropy(model(inputs).mean(1), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return {name: value.cpu() for name, value in model.state_dict().items()}

    expected = train('cpu')
    with pretended_gpu():
        found = train('cuda')
        restored = nn.Conv2d(3, 8, 3).to('cuda')
        restored.load_state_dict({'weight': expected['0.weight'], 'bias': expected['0.bias']})
        assert torch.equal(restored.weight.cpu(), expected['0.weight'])
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
