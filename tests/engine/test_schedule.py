"""What a config schedules by epoch, and schedules that are computed anew for another number of epochs."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler import CosineAnnealingLR, LinearLR, MultiStepLR, ReduceOnPlateauLR

from dscreid.engine.schedule import check_schedules, check_stages, recompute_schedules, turn_at
from dscreid.errors import CheckpointError, ConfigError

LENGTH = 4  # iterations of an epoch


@pytest.mark.parametrize('begins', [[0], [0, 1], (0, 30, 40)])
def test_rising_stages(begins):
    check_stages(begins)


@pytest.mark.parametrize('begins', [[], [1], [0, 0], [0, 3, 2], [5, 0]])
def test_other_stages(begins):
    with pytest.raises(ConfigError, match=r'got begin_epoch=\['):
        check_stages(begins)


@pytest.mark.parametrize(('epoch', 'value'), [(0, 'a'), (29, 'a'), (30, 'b'), (34, 'b'), (35, 'c'), (99, 'c')])
def test_the_last_stage_that_has_begun(epoch, value):
    assert turn_at(epoch, [0, 30, 35], 'abc') == value


def test_turns_begin_with_their_stage():
    cycles = ['ab', 'c', 'def']
    assert ''.join(turn_at(epoch, [0, 5, 7], cycles) for epoch in range(12)) == 'ababaccdefde'


class Logger:
    def __init__(self):
        self.lines = []

    def info(self, line):
        self.lines.append(line)


def make_runner(make_schedulers, rates=(0.1,)):
    groups = [dict(params=[torch.nn.Parameter(torch.zeros(2))], lr=rate) for rate in rates]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=0.1, momentum=0.9))
    return SimpleNamespace(
        optim_wrapper=wrapper,
        param_schedulers=make_schedulers(wrapper),
        train_dataloader=[None] * LENGTH,
        logger=Logger(),
    )


def train(runner, epochs, first=0):
    """Step as MMEngine's ParamSchedulerHook does; learning rates of each iteration by group."""
    used = []
    for _ in range(first, epochs):
        for _ in range(LENGTH):
            used.append([group['lr'] for group in runner.optim_wrapper.param_groups])
            runner.optim_wrapper.optimizer.step()
            for scheduler in runner.param_schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
        for scheduler in runner.param_schedulers:
            if scheduler.by_epoch:
                scheduler.step()
    return used


def checkpoint(runner, epoch):
    return dict(
        meta=dict(epoch=epoch),
        optimizer=runner.optim_wrapper.state_dict(),
        param_schedulers=[dict(scheduler.state_dict()) for scheduler in runner.param_schedulers],
    )


def resume(runner, content):
    recompute_schedules(runner, content)
    runner.optim_wrapper.load_state_dict(content['optimizer'])
    for scheduler, state in zip(runner.param_schedulers, content['param_schedulers'], strict=True):
        scheduler.load_state_dict(state)


def cosine(epochs):
    return lambda wrapper: [CosineAnnealingLR(wrapper, T_max=epochs * LENGTH, end=epochs * LENGTH, by_epoch=False)]


def warm_up_and_cosine(epochs):
    return lambda wrapper: [
        LinearLR(wrapper, start_factor=0.1, end=LENGTH, by_epoch=False),
        CosineAnnealingLR(wrapper, T_max=epochs - 1, begin=1, end=epochs, eta_min_ratio=0.01),
        MultiStepLR(wrapper, milestones=[2], gamma=0.5),
    ]


@pytest.mark.parametrize('make', [cosine, warm_up_and_cosine])
@pytest.mark.parametrize('rates', [(0.1,), (0.1, 0.3)], ids=['one group', 'two groups'])
def test_the_epochs_to_come_get_the_rates_of_the_new_schedule(make, rates):
    whole = train(make_runner(make(6), rates), 6)
    short = make_runner(make(4), rates)
    train(short, 4)
    longer = make_runner(make(6), rates)
    resume(longer, checkpoint(short, 4))
    assert train(longer, 6, first=4) == whole[4 * LENGTH :]
    assert len(longer.logger.lines) == 1
    assert 'from epoch 5 on the learning rate follows the new ones' in longer.logger.lines[0]


def test_against_the_formula():
    short = make_runner(cosine(2))
    train(short, 2)
    longer = make_runner(cosine(4))
    resume(longer, checkpoint(short, 2))
    expected = [0.1 * (1 + math.cos(math.pi * step / 16)) / 2 for step in range(8, 16)]
    assert [rate for (rate,) in train(longer, 4, first=2)] == pytest.approx(expected)


def test_the_same_schedule_is_left_alone():
    run = make_runner(cosine(4))
    train(run, 2)
    content = checkpoint(run, 2)
    before = dict(content['param_schedulers'][0])
    resumed = make_runner(cosine(4))
    recompute_schedules(resumed, content)
    assert content['param_schedulers'] == [before]
    assert resumed.logger.lines == []


def test_skipped_epochs_do_not_count_for_schedules_by_iteration():
    """ClusterHook may skip an epoch: it passes without an iteration."""
    short = make_runner(cosine(4))
    train(short, 2)
    longer = make_runner(cosine(6))
    resume(longer, checkpoint(short, 3))
    assert longer.param_schedulers[0].last_step == 2 * LENGTH


def test_what_depends_on_past_metrics_is_refused():
    def plateau(end):
        return lambda wrapper: [ReduceOnPlateauLR(wrapper, monitor='loss', end=end)]

    saved, path = checkpoint(make_runner(plateau(4)), 2), Path('epoch_2.pth')
    check_schedules(path, saved, make_runner(plateau(4)).param_schedulers)
    check_schedules(path, {}, None)
    with pytest.raises(CheckpointError, match='ReduceOnPlateauLR'):
        check_schedules(path, saved, make_runner(plateau(6)).param_schedulers)
