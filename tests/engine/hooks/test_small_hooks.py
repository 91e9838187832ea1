"""The hooks that do one thing: a fake runner shows what."""

import logging
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.logging import MessageHub
from pretended_device import pretended_gpu
from torch import nn

from dscreid.engine.hooks import (
    DeferredRuntimeInfoHook,
    EvaluationProgressHook,
    InitialCheckpointHook,
    LossScheduleHook,
    MemoryUpdateHook,
    RandomStateHook,
    SourceWeightsHook,
    SpeedHook,
    durable_checkpoint_hook,
    small_hooks,
)
from dscreid.registry import HOOKS


@pytest.mark.parametrize(
    ('name', 'priority'),
    [
        ('SourceWeightsHook', 'VERY_HIGH'),
        ('ClusterHook', 'BELOW_NORMAL'),
        ('IdentityMemoryHook', 'BELOW_NORMAL'),
        ('InitialCheckpointHook', 'VERY_LOW'),
        ('SpeedHook', 'LOWEST'),
    ],
)
def test_the_order_of_the_hooks(name, priority):
    # weights, then labels from them, then the checkpoint of both, then the clock
    assert HOOKS.get(name).priority == priority


def test_memories_are_updated_after_each_iteration(fake_runner):
    calls = []
    fake_runner.model = nn.Identity()
    fake_runner.model.update_memories = lambda: calls.append(1)
    MemoryUpdateHook().after_train_iter(fake_runner, batch_idx=0)
    assert calls == [1]


def test_the_model_is_told_the_epoch(fake_runner):
    epochs = []
    fake_runner.model, fake_runner.epoch = nn.Identity(), 7
    fake_runner.model.set_epoch = epochs.append
    LossScheduleHook().before_train_epoch(fake_runner)
    assert epochs == [7]


@pytest.mark.parametrize(('iteration', 'loads'), [(0, True), (200, False)])
def test_source_weights_are_loaded_unless_the_run_resumes(fake_runner, monkeypatch, iteration, loads):
    calls = []
    monkeypatch.setattr(small_hooks, 'load_source_weights', lambda *args: calls.append(args))
    fake_runner.model, fake_runner.iter = nn.Identity(), iteration
    SourceWeightsHook('a.pth').before_train(fake_runner)
    assert calls == ([(fake_runner.model, 'a.pth', False)] if loads else [])


@pytest.mark.parametrize(('iteration', 'saves'), [(0, True), (200, False)])
def test_the_initial_checkpoint(fake_runner, tmp_path, iteration, saves):
    saved = []
    fake_runner.work_dir, fake_runner.iter = str(tmp_path), iteration
    fake_runner.save_checkpoint = lambda *args, **kwargs: saved.append((args, kwargs))
    InitialCheckpointHook().before_train(fake_runner)
    pointer = tmp_path / 'last_checkpoint'
    if saves:
        assert saved == [((str(tmp_path), 'epoch_0.pth'), dict(meta=dict(epoch=0, iter=0)))]
        assert pointer.read_text() == str(tmp_path / 'epoch_0.pth')
    else:
        assert not saved
        assert not pointer.exists()


def test_only_the_first_rank_names_the_checkpoint(fake_runner, tmp_path, monkeypatch):
    monkeypatch.setattr(durable_checkpoint_hook, 'is_main_process', lambda: False)
    fake_runner.work_dir = str(tmp_path)
    fake_runner.save_checkpoint = lambda *args, **kwargs: None
    InitialCheckpointHook().before_train(fake_runner)
    assert list(tmp_path.iterdir()) == []


def test_speed_counts_training_time_alone(fake_runner, monkeypatch, caplog):
    clock = iter([100.0, 101.0, 103.0])  # start, end of iteration 1, end of iteration 2
    monkeypatch.setattr(small_hooks, 'time', SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(small_hooks, 'get_world_size', lambda: 2)
    hook = SpeedHook()
    with caplog.at_level(logging.INFO, logger='fake'):
        hook.after_train_epoch(fake_runner)  # no iteration: nothing to say
        hook.before_train_epoch(fake_runner)
        for batch in (4, 5):
            hook.after_train_iter(fake_runner, 0, data_batch=dict(inputs=[0] * batch))
        hook.after_train_epoch(fake_runner)
    assert fake_runner.scalars == [(1, {'speed/tracklets_per_second': 9 * 2 / 3})]
    assert caplog.messages == ['training: 6.0 tracklets/s']


@pytest.mark.parametrize('phase', ['val', 'test'])
def test_the_bar_opens_advances_and_closes(fake_runner, monkeypatch, phase):
    events = []
    bar = SimpleNamespace(
        add_task=lambda description, total: events.append((description, total)) or 7,
        start=lambda: events.append('start'),
        advance=lambda task: events.append(('advance', task)),
        stop=lambda: events.append('stop'),
    )
    monkeypatch.setattr(small_hooks, 'progress_bar', lambda: bar)
    setattr(fake_runner, f'{phase}_loop', SimpleNamespace(dataloader=range(2)))
    hook = EvaluationProgressHook()
    getattr(hook, f'before_{phase}_epoch')(fake_runner)
    for batch in range(2):
        getattr(hook, f'after_{phase}_iter')(fake_runner, batch)
    getattr(hook, f'after_{phase}_epoch')(fake_runner)
    text = {'val': 'validate', 'test': 'test'}[phase]
    assert events == [(text, 2), 'start', ('advance', 7), ('advance', 7), 'stop']


@pytest.fixture
def numbers():
    """Function that gives an epoch's first numbers of all three generators."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002

    def draw(seed, epoch):
        RandomStateHook().before_train_epoch(SimpleNamespace(seed=seed, epoch=epoch))
        return random.random(), np.random.random(), torch.rand(()).item()  # noqa: NPY002

    yield draw
    random.setstate(kept[0])
    np.random.set_state(kept[1])  # noqa: NPY002
    torch.set_rng_state(kept[2])


def test_an_epoch_has_its_own_numbers(numbers, monkeypatch):
    first = numbers(1, 0)
    torch.rand(5)
    assert numbers(1, 0) == first  # whatever was drawn before
    for other in (numbers(1, 1), numbers(2, 0), numbers(None, 1)):
        assert not set(other) & set(first)
    monkeypatch.setattr(small_hooks, 'get_rank', lambda: 1)
    assert not set(numbers(1, 0)) & set(first)


def test_initial_weights_in_a_real_run(tiny_experiment):
    """The checkpoint before the first epoch holds the source's encoder."""
    start = torch.load(tiny_experiment.work_dir / 'epoch_0.pth', weights_only=False)
    source = torch.load(tiny_experiment.source_checkpoint, weights_only=False)
    assert (start['meta']['epoch'], start['meta']['iter']) == (0, 0)
    names = [name for name in source['state_dict'] if name.startswith('backbone.')]
    assert names
    for name in names:
        assert torch.equal(start['state_dict'][name], source['state_dict'][name])


class Loader(list):
    dataset = None


def record_losses(hook, name):
    """Records of two epochs of seven iterations with two losses, logged every third; and how often the host waited."""
    hub = MessageHub(name)
    facts = dict(epoch=0, iter=0, max_epochs=2, max_iters=14)
    runner = SimpleNamespace(
        message_hub=hub, hooks=[LoggerHook(interval=3)], train_dataloader=Loader(range(7)), **facts
    )
    values = torch.rand(2, 7, 2, generator=torch.Generator().manual_seed(0))
    with pretended_gpu() as gpu:
        losses = values.to('cuda', non_blocking=True)
        hook.before_train(runner)
        for epoch in range(2):
            for batch_idx in range(7):
                first, second = losses[epoch, batch_idx]
                hook.after_train_iter(runner, batch_idx, None, {'loss': first, 'loss_id': second, 'count': 2.0})
                if batch_idx % 3 == 2:
                    assert hub.get_scalar('train/loss').current() == values[epoch, batch_idx, 0].item()
        waits = gpu.waits.total()
    return {key: buffer.data for key, buffer in hub.log_scalars.items()}, waits


def test_losses_are_recorded_as_by_mmengine_but_read_only_for_the_log():
    expected, every = record_losses(RuntimeInfoHook(), 'mmengine')
    found, logged = record_losses(DeferredRuntimeInfoHook(), 'deferred')
    assert found.keys() == expected.keys() == {'train/loss', 'train/loss_id', 'train/count'}
    for key, arrays in expected.items():
        assert all(map(np.array_equal, arrays, found[key]))
    assert (every, logged) == (2 * 7 * 2, 2 * 3)
