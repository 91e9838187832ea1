"""The doctor's memory: never more than is free."""

import resource

import pytest
import torch
from torch import nn

from dscreid.lab.doctor import memory
from dscreid.lab.doctor.memory import (
    is_out_of_memory,
    optimizer_bytes,
    saved_bytes,
    training_memory,
    within_free_memory,
)
from dscreid.models.backbones import SpatioTemporalPrompting

CPU = torch.device('cpu')
TOWER = dict(type='CLIPVisionTransformer', image_size=(32, 16), patch_size=8, width=32, layers=4, heads=2)
BACKBONE = dict(type='SpatioTemporalPrompting', tower=TOWER, num_frames=3, start_layer=2, num_heads=2)


def test_the_moments_of_trainable_weights():
    layer = nn.Linear(100, 100, bias=False)
    assert optimizer_bytes(layer) == 80_000
    layer.weight.requires_grad_(False)
    assert optimizer_bytes(layer) == 0


def test_saved_bytes_are_those_of_tensors_that_a_gradient_needs():
    layer = nn.Linear(8, 4)
    inputs = torch.rand(5, 8, requires_grad=True)
    # the inputs of the layer, once, and the result of exp; the weight is a parameter
    assert saved_bytes(lambda: layer(inputs).exp()) == 4 * (5 * 8 + 5 * 4)
    with torch.no_grad():
        assert saved_bytes(lambda: layer(inputs).exp()) == 0


@pytest.mark.parametrize('with_cp', [False, True])
def test_the_memory_of_a_training_step_is_that_of_real_tensors(with_cp):
    backbone = BACKBONE | {'with_cp': with_cp}
    found = training_memory(backbone, (3, 32, 16), tracklets=5, devices=2)
    model = SpatioTemporalPrompting(**{key: value for key, value in backbone.items() if key != 'type'}).train()
    kept = saved_bytes(lambda: model(torch.rand(1, 3, 3, 32, 16)))
    weights = sum(parameter.nbytes for parameter in model.parameters())
    assert found == (weights, weights, 2 * weights, 3 * kept)  # three of five tracklets on a device
    assert found.total == 4 * weights + 3 * kept


def test_the_real_size_takes_no_memory():
    """CLIP ViT-B/16 on the paper's batch: 86 million weights, and the activations in docs/performance.md."""
    backbone = dict(type='SpatioTemporalPrompting', tower=dict(type='CLIPVisionTransformer'))
    whole, recomputed = (training_memory(backbone | {'with_cp': cp}, (6, 288, 144), 32) for cp in (False, True))
    assert whole[:3] == recomputed[:3]
    assert 85e6 < whole.weights / 4 < 92e6
    assert whole.activations / 32 == pytest.approx(687e6, rel=1e-3)
    assert recomputed.activations / 32 == pytest.approx(42.9e6, rel=2e-3)


def test_what_is_not_free_cannot_be_taken(monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    monkeypatch.setattr(memory, 'free_memory', lambda: 456 * 2**20)  # 256 MiB are reserved
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
