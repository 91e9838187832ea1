"""Two iterations of every method in several processes against one process that has the whole batches."""

from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from mmengine.dist import get_dist_info
from mmengine.model import MMDistributedDataParallel
from tiny_methods import shrink, shrink_batches

from dscreid.apis.config import load_config
from dscreid.datasets.samplers.batch_plan_sampler import rank_share
from dscreid.lab.acceptance.plan import method_names, tiny_options
from dscreid.lab.acceptance.trial import make_trial
from dscreid.lab.doctor.batches import fill_identity_memories
from dscreid.models.backbones import style_disturbance
from dscreid.utils.shipped import shipped_configs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('one_thread_throughout')]
#: Steps follow the gradients themselves; Adam would divide rounding errors of gradients that are 0 by their size.
PLAIN = {
    'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=2e-3),
    'optim_wrapper.clip_grad': None,
}
METHODS = [name for name in method_names() if 'resnet50' not in name]


#: Supervised methods, and what draws at random in each process, which is switched off.
SUPERVISED = {path.stem: {} for path in sorted((shipped_configs() / 'supervised').glob('*.py'))} | {
    'ddag': {'model.heads.graph.dropout': 0.0},
    'tf_clip': {'model.heads.memory.prompt.dropout': 0.0},
}
#: Those that are also divided among four processes: a transformer, and what reads the whole batch or its maps.
AMONG_FOUR = ('vld', 'ddag', 'lba')


def two_iterations(name):
    """Losses of this process, and the change of all weights, statistics and memories, by epoch that has its own."""
    trial = make_trial(load_config(name, tiny_options(name) | PLAIN), 'cpu', per_modality=48)
    return learn(trial, trial.epochs(), trial.begin_epoch)


def two_supervised_iterations(name):
    """The same for a supervised method: two people with two tracklets of each modality."""
    config = load_config(f'supervised/{name}_demo', {'frame_size': (32, 16)} | PLAIN | SUPERVISED[name])
    shrink(config._cfg_dict)
    shrink_batches(config._cfg_dict)
    config.model.num_classes = 24
    trial = make_trial(config, 'cpu', per_modality=48, per_identity=2)
    if 'tower' not in config.model.backbone:
        # batch normalization over tiny maps would enlarge the rounding of float32
        trial.model.double().data_preprocessor.register_forward_hook(in_double)
    fill_identity_memories(trial.model)
    clean = torch.linspace(0.1, 0.9, 96)
    trial.model.set_tracklet_parts(dict.fromkeys(trial.model.tracklet_parts, clean))
    epochs = sorted({0, *(loss.begin for loss in trial.model.losses.values())})
    with each_keeps_its_style():
        return learn(trial, epochs, trial.model.set_epoch)


def in_double(module, inputs, batch):
    return {**batch, 'inputs': batch['inputs'].double()}


@contextmanager
def each_keeps_its_style():
    """SAADG draws the styles of frames in each process; here, each keeps its own."""
    with mock.patch.object(style_disturbance, 'style_partners', lambda names, across: torch.arange(len(names))):
        yield


def learn(trial, epochs, begin_epoch):
    """Two iterations of each epoch on this process's shares: the losses of each, and what the epoch has changed."""
    rank, world_size = get_dist_info()
    model, found = trial.model, []
    several = MMDistributedDataParallel(model, broadcast_buffers=False) if world_size > 1 else model
    for epoch in epochs:
        begin_epoch(epoch)
        before = state(model)
        losses = []
        for seed in range(2):
            batch = trial.batch(seed)
            visible = torch.tensor([sample.modality == 'rgb' for sample in batch['data_samples']]).numpy()
            rows = rank_share(visible, rank, world_size)
            share = {key: [values[row] for row in rows] for key, values in batch.items()}
            losses.append(several.train_step(share, trial.optim_wrapper))
            if trial.hook is not None:
                model.update_memories()
        change = {key: value - before[key] for key, value in state(model).items() if value.is_floating_point()}
        found.append(([{key: value.item() for key, value in one.items()} for one in losses], change))
    return found


def state(model):
    return {key: value.detach().clone() for key, value in [*model.named_parameters(), *model.named_buffers()]}


@pytest.fixture(scope='module')
def alone():
    return {}


@pytest.mark.parametrize('name', METHODS)
def test_shares_learn_what_one_process_learns(ranks, name, alone):
    if name not in alone:
        alone[name] = two_iterations(name)
    check_equal(ranks.run(two_iterations, name), alone[name])


@pytest.mark.parametrize('name', SUPERVISED)
def test_shares_learn_what_one_process_learns_from_labels(ranks, name, alone):
    if len(ranks.processes) == 4 and name not in AMONG_FOUR:
        pytest.skip('divided among two processes')
    if name not in alone:
        alone[name] = two_supervised_iterations(name)
    check_equal(ranks.run(two_supervised_iterations, name), alone[name])


def check_equal(results, alone):
    for result in results:
        assert len(result) == len(alone)
        for (losses, change), (expected_losses, expected) in zip(result, alone, strict=True):
            for one, other in zip(losses, expected_losses, strict=True):
                assert one == pytest.approx(other, rel=3e-5, abs=1e-4)
            assert change.keys() == expected.keys()
            for key, value in expected.items():
                torch.testing.assert_close(change[key], value, rtol=1e-3, atol=3e-5, msg=key)
            assert max(value.abs().max() for key, value in expected.items() if 'backbone' in key) > 3e-4
