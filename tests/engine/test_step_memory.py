"""The memory of a training step from shapes alone, against what real tensors keep."""

import pytest
import torch
from mmengine import Config
from torch import nn

from dscreid.engine.step_memory import (
    batch_counts,
    batch_views,
    optimizer_bytes,
    saved_bytes,
    step_memory,
    training_memory,
)
from dscreid.models.backbones import SpatioTemporalPrompting

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
    kept = saved_bytes(lambda: model(torch.rand(3, 3, 3, 32, 16)))  # three of five tracklets on a device
    weights = sum(parameter.nbytes for parameter in model.parameters())
    assert found == (weights, weights, 2 * weights, kept)
    assert found.total == 4 * weights + kept


def test_the_real_size_takes_no_memory():
    """CLIP ViT-B/16 on the paper's batch: 86 million weights, and the activations in docs/performance.md."""
    backbone = dict(type='SpatioTemporalPrompting', tower=dict(type='CLIPVisionTransformer'))
    whole, recomputed = (training_memory(backbone | {'with_cp': cp}, (6, 288, 144), 32) for cp in (False, True))
    assert whole[:3] == recomputed[:3]
    assert 85e6 < whole.weights / 4 < 92e6
    assert whole.activations / 32 == pytest.approx(687e6, rel=1e-3)
    assert recomputed.activations / 32 == pytest.approx(42.9e6, rel=2e-3)


def test_mixed_precision_keeps_what_autocast_keeps():
    model = SpatioTemporalPrompting(**{key: value for key, value in BACKBONE.items() if key != 'type'}).train()
    with torch.autocast('cpu', torch.bfloat16):
        kept = saved_bytes(lambda: model(torch.rand(2, 3, 3, 32, 16)))
    found = training_memory(BACKBONE, (3, 32, 16), tracklets=2, dtype=torch.bfloat16)
    assert found.activations == pytest.approx(kept, rel=0.01)  # statistics of attention are padded
    assert kept < 0.8 * training_memory(BACKBONE, (3, 32, 16), tracklets=2).activations


def config(**others):
    settings = dict(
        model=dict(backbone=BACKBONE),
        num_frames=3,
        frame_size=(32, 16),
        train_dataloader=dict(sampler=dict(visible=(2, 2), infrared=(3, 2))),
    )
    return Config(settings | others)


def test_the_step_of_a_config():
    found = config()
    assert batch_counts(found.train_dataloader.sampler) == {'rgb': 4, 'ir': 6}
    assert batch_views(found) == 10
    assert step_memory(found) == training_memory(BACKBONE, (3, 32, 16), tracklets=10)
    assert step_memory(found, 2, with_cp=True) == training_memory(BACKBONE | {'with_cp': True}, (3, 32, 16), 5)
    labeled = config(train_dataloader=dict(sampler=dict(num_identities=3, num_tracklets=2)))
    assert batch_counts(labeled.train_dataloader.sampler) == {'rgb': 6, 'ir': 6}
    augmented = config(model=dict(backbone=BACKBONE, data_preprocessor=dict(augmentation=dict(flip=0.5))))
    assert batch_views(augmented) == 14  # visible tracklets have two views


@pytest.mark.parametrize(('dtype', 'used'), [('bfloat16', torch.bfloat16), (None, torch.float16)])
def test_the_precision_of_a_config(dtype, used):
    wrapper = dict(type='AmpOptimWrapper', dtype=dtype)
    found = step_memory(config(optim_wrapper=wrapper))
    assert found == training_memory(BACKBONE, (3, 32, 16), tracklets=10, dtype=used)
    assert found.activations < step_memory(config(optim_wrapper=dict(type='OptimWrapper'))).activations
