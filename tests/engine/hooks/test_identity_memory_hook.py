"""IdentityMemoryHook: what a real run kept, once, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.train import train_stage
from dscreid.engine.hooks import IdentityMemoryHook
from dscreid.errors import ConfigError
from dscreid.models.reid import BaseReID
from dscreid.registry import DATASETS, MODELS
from dscreid.utils.checkpoint import load_weights


@pytest.fixture(scope='module')
def config(tiny_runs):
    """A supervised run with a memory of a part of the static half."""
    config = load_config(tiny_runs.source)
    tower = config.model.backbone.tower
    config.model = dict(
        type='SupervisedReID',
        num_classes=6,
        backbone=dict(type='ProjectedCLIP', tower=tower, joint_width=8),
        data_preprocessor=config.model.data_preprocessor,
        heads=dict(memory=dict(type='IdentityMemoryHead', part='projected')),
        losses=dict(memory=dict(type='IdentityLoss', part='memory_head')),
    )
    config.default_hooks.memory = dict(type='IdentityMemoryHook', pipeline=config.eval_pipeline)
    for step in config.eval_pipeline:
        step.update(dict(num_frames=2) if step.type == 'SampleFrames' else {})
        step.update(dict(size=(32, 16)) if step.type == 'LoadFrames' else {})
    config.train_cfg.update(max_epochs=1, val_interval=9)
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    fit_to_machine(config)
    return config


@pytest.mark.usefixtures('one_thread')
def test_the_memory_holds_the_means_of_the_first_weights(config, tmp_path):
    config.work_dir = str(tmp_path)
    last = load_weights(train_stage(config))
    first = load_weights(tmp_path / 'epoch_0.pth')
    assert last['memory_head.is_filled']
    assert torch.equal(last['memory_head.memory'], first['memory_head.memory'])
    assert not torch.equal(last['backbone.projection'], first['backbone.projection'])

    model = MODELS.build(config.model).eval()
    model.load_state_dict(first)
    dataset = DATASETS.build({**config.train_dataloader.dataset, 'pipeline': config.eval_pipeline})
    rows = {number: [] for number in range(6)}
    for item, label in zip((dataset[number] for number in range(len(dataset))), dataset.labels, strict=True):
        data = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
        batch = model.data_preprocessor(data, training=False)
        with torch.no_grad():
            rows[int(label)].append(model.extract_feat(batch['inputs'])[0][0, -8:])
    assert min(map(len, rows.values())) > 1
    expected = torch.stack([torch.stack(rows[number]).mean(0) for number in range(6)])
    torch.testing.assert_close(last['memory_head.memory'], expected, rtol=1e-4, atol=1e-5)


def test_a_filled_memory_stays(config):
    model = MODELS.build(config.model)
    memory = torch.randn(6, 8)
    model.fill_memories(dict(memory_head=memory))
    IdentityMemoryHook(pipeline=[]).before_train(SimpleNamespace(model=model))  # this runner could not fill it
    assert torch.equal(model.memory_head.memory, memory)


def test_models_without_a_memory_are_refused(config):
    plain = MODELS.build({**config.model, 'heads': {}, 'losses': {}})
    for model in (plain, BaseReID(plain.backbone)):
        with pytest.raises(ConfigError, match=f'{type(model).__name__} has no head with a memory, such as Prompted'):
            IdentityMemoryHook(pipeline=[]).before_train(SimpleNamespace(model=model))


def test_labels_are_needed(config):
    dataset = DATASETS.build({**config.train_dataloader.dataset, 'labelled': False})
    assert dataset.labels is None
    loader = torch.utils.data.DataLoader(dataset, sampler=np.arange(2))
    runner = SimpleNamespace(model=MODELS.build(config.model), train_loop=SimpleNamespace(dataloader=loader))
    with pytest.raises(ConfigError, match='IdentityMemoryHook: the training split has no labels; use labelled=True'):
        IdentityMemoryHook(config.eval_pipeline).before_train(runner)
