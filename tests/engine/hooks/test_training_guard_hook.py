"""Losses that are not finite end a run, losses that do nothing are named."""

import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from mmengine.runner.priority import get_priority
from torch import nn

from dscreid.engine.hooks import TrainingGuardHook, training_guard_hook
from dscreid.engine.hooks.training_guard_hook import not_finite
from dscreid.errors import TrainingError
from dscreid.models.losses import NeighborContrastiveLoss
from dscreid.structures import TrackletFeatures


@pytest.fixture
def runner(fake_runner):
    fake_runner.model = nn.Linear(2, 1)
    fake_runner.epoch = 3
    fake_runner.optim_wrapper = SimpleNamespace(get_lr=lambda: {'lr': [1e-3, 2e-3]})
    return fake_runner


def play(hook, runner, *iterations):
    hook.before_train_epoch(runner)
    for number, losses in enumerate(iterations):
        values = {name: torch.tensor(float(value)) for name, value in losses.items()}
        hook.after_train_iter(runner, number, outputs=values)
    hook.after_train_epoch(runner)


@pytest.mark.parametrize(('counts', 'warned'), [(1, False), (2, False), (3, False), (4, True), (9, True)])
def test_gradients_that_outlast_an_epoch(runner, caplog, counts, warned):
    runner.optim_wrapper = OptimWrapper(torch.optim.SGD(runner.model.parameters(), lr=1.0), accumulative_counts=counts)
    runner.train_dataloader = range(6)
    runner.logger = logging.getLogger('guard')
    TrainingGuardHook().before_train(runner)
    assert ('does not divide the 6 iterations' in caplog.text) is warned
    assert ('gradients of the last 2 join' in caplog.text) is (counts == 4)


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('interval', [1, 2, 20])
def test_a_loss_that_is_not_finite(runner, bad, interval, monkeypatch):
    monkeypatch.setattr(training_guard_hook, '_INTERVAL', interval)
    losses = [dict(loss_a=1, loss_b=1, loss=2), dict(loss_a=1, loss_b=bad, loss=bad), dict(loss_a=bad, loss_b=bad)]
    with pytest.raises(TrainingError, match=r'^epoch 4, iteration 2: loss_b became NaN .*clip_grad.*0\.002 now') as e:
        play(TrainingGuardHook(), runner, *losses)
    assert 'loss_a' not in str(e.value)


def test_a_sum_that_overflows(runner):
    with pytest.raises(TrainingError, match='iteration 1: loss became'):
        play(TrainingGuardHook(), runner, dict(loss_a=3e38, loss_b=3e38, loss=float('inf')))


def test_the_interval_bounds_the_delay(runner, monkeypatch):
    monkeypatch.setattr(training_guard_hook, '_INTERVAL', 2)
    hook = TrainingGuardHook()
    hook.before_train_epoch(runner)
    hook.after_train_iter(runner, 0, outputs=dict(loss_a=torch.tensor(float('nan'))))
    with pytest.raises(TrainingError, match='iteration 1'):
        hook.after_train_iter(runner, 1, outputs=dict(loss_a=torch.tensor(1.0)))


def test_weights_that_are_not_finite(runner):
    runner.model.bias.data.fill_(float('nan'))
    with pytest.raises(TrainingError, match='epoch 4: 1 weights are NaN or infinite after the last step, first bias'):
        play(TrainingGuardHook(), runner, dict(loss_a=1))


def test_which_weights_are_not_finite():
    weights = dict(a=torch.ones(2), b=torch.tensor([1.0, float('inf'), -float('inf')]), c=torch.tensor([3]))
    assert not_finite(weights) == ['b']
    assert not_finite(dict(c=torch.tensor([3]), d=torch.empty(0))) == []


def test_a_loss_without_effect_is_named_once(runner, caplog):
    silent = dict(loss_neighbor_vt=0, loss_id_static=1, other=0, loss=1)
    once = dict(loss_neighbor_vt=0, loss_id_static=0, other=0, loss=0)
    with caplog.at_level(logging.WARNING, logger='fake'):
        play(TrainingGuardHook(), runner, silent, once)
    (message,) = caplog.messages
    assert message.startswith('loss_neighbor_vt was exactly 0 in all 2 iterations of epoch 4')
    assert 'lower alpha' in message


def test_a_loss_without_positives_is_exactly_0(runner):
    """No similarity exceeds the largest itself, so alpha=1 leaves no neighbour."""
    rows = [torch.randn(4, 6, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    hook = TrainingGuardHook()
    hook.before_train_epoch(runner)
    for name, alpha in (('loss_neighbor_none', 1.0), ('loss_neighbor_some', 0.1)):
        loss = NeighborContrastiveLoss(alpha=alpha)
        queries, bank = TrackletFeatures(*rows[:2]), TrackletFeatures(*rows[:2])
        hook.after_train_iter(runner, 0, outputs={name: loss(rows[2], rows[3], queries, bank)})
    assert hook.silent() == ['loss_neighbor_none']


def test_each_epoch_counts_for_itself(runner, caplog):
    hook = TrainingGuardHook()
    with caplog.at_level(logging.WARNING, logger='fake'):
        play(hook, runner, dict(loss_x=1))
        play(hook, runner, dict(loss_x=0))
        play(hook, runner)  # an epoch that was skipped
    assert len(caplog.messages) == 1


def test_it_comes_before_the_checkpoint():
    assert get_priority(TrainingGuardHook.priority) < get_priority(CheckpointHook.priority)
