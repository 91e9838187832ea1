"""The doctor's memory: measured against counting by hand, forecast, and never more than is free."""

import resource

import pytest
import torch
from torch import nn

from dscreid.lab.doctor import memory
from dscreid.lab.doctor.memory import (
    PeakMemory,
    forecast_bytes,
    is_out_of_memory,
    optimizer_bytes,
    peak_bytes,
    within_free_memory,
)

CPU = torch.device('cpu')


def test_the_peak_is_the_highest_sum_of_living_tensors():
    with PeakMemory() as counted:
        one = torch.zeros(1000)  # 4,000 bytes
        two = one + 1  # 8,000
        del one  # 4,000
        view = two.view(10, 100)  # a view adds nothing
        view.mul_(2)  # nor does a change in place
        three = torch.zeros(250, dtype=torch.float64)  # 6,000
    assert (counted.peak, counted.live) == (8000, 6000)
    del two, view, three
    assert counted.live == 0


def test_gradients_and_saved_activations_count():
    layer = nn.Linear(100, 100, bias=False)
    inputs = torch.ones(50, 100)

    def step():
        layer(inputs).square().sum().backward()

    # output 20,000 · squared 20,000 · later the gradient of the output and that of the weight, 40,000
    assert 60_000 <= peak_bytes(step, CPU) <= 120_000
    assert optimizer_bytes(layer) == 80_000
    layer.weight.requires_grad_(False)
    assert optimizer_bytes(layer) == 0


@pytest.mark.parametrize('batch', [4, 16])
def test_a_forecast_from_two_tracklets_is_not_below_the_measurement(batch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))

    def measured(num):
        inputs = torch.ones(num, 500, 64)
        model.zero_grad(set_to_none=True)
        return peak_bytes(lambda: model(inputs).square().sum().backward(), CPU)

    forecast = forecast_bytes(measured(2), 2, batch)
    assert measured(batch) <= forecast <= 1.5 * measured(batch)


def test_what_is_not_free_cannot_be_taken(monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    monkeypatch.setattr(memory, 'memory_to_use', lambda device: 200 * 2**20)
    with within_free_memory(CPU):
        torch.empty(50 * 2**20, dtype=torch.uint8)
        with pytest.raises(RuntimeError) as error:
            torch.empty(2**30, dtype=torch.uint8)
        with pytest.raises(MemoryError):
            bytearray(2**30)
    assert is_out_of_memory(error.value)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    torch.empty(2**30, dtype=torch.uint8)  # the limit is gone


def test_which_errors_speak_of_memory():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError('CUDA out of memory'))
    assert not is_out_of_memory(RuntimeError('shapes differ'))
    assert not is_out_of_memory(None)
