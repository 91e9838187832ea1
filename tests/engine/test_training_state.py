"""Each part of a checkpoint beside its weights, damaged in each way: refused by name, never MMEngine's traceback."""

import copy

import pytest
import torch
from mmengine.hooks import EMAHook
from tiny_runner import make_durable_runner

from dscreid.engine.runner import ReIDRunner
from dscreid.engine.training_state import training_state_fault
from dscreid.utils.checkpoint import load_checkpoint


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    make_durable_runner(folder, ReIDRunner).train()
    return load_checkpoint(folder / 'epoch_2.pth')


@pytest.fixture(scope='module')
def runner(tmp_path_factory):
    """A runner that is to continue, as ``build_runner`` leaves it."""
    runner = make_durable_runner(tmp_path_factory.mktemp('resumed'), ReIDRunner)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    return runner


def moment(content):
    return content['optimizer']['state'][0]


def group(content):
    return content['optimizer']['param_groups'][0]


DAMAGES = {
    'no meta': (lambda c: c.pop('meta'), 'meta: it is not like'),
    'meta of another type': (lambda c: c.update(meta=[1]), 'meta: it is not like'),
    'epoch as text': (lambda c: c['meta'].update(epoch='2'), 'meta: epoch is not like'),
    'no iterations': (lambda c: c['meta'].pop('iter'), 'meta: iter is missing'),
    'no hub': (lambda c: c.pop('message_hub'), 'message_hub: it is not like that of the run'),
    'hub of another type': (lambda c: c.update(message_hub=3), 'message_hub: it is not like'),
    'hub without histories': (lambda c: c['message_hub'].pop('log_scalars'), 'message_hub: log_scalars is missing'),
    'hub without facts': (lambda c: c['message_hub'].update(runtime_info=[]), 'message_hub: runtime_info is not like'),
    'hub without keys': (lambda c: c['message_hub'].update(resumed_keys=None), 'message_hub: resumed_keys is not like'),
    'a history that is none': (
        lambda c: c['message_hub']['log_scalars'].update({'train/loss': 1.0}),
        'message_hub: its scalars are not histories',
    ),
    'no optimizer': (lambda c: c.pop('optimizer'), 'optimizer: it is not like'),
    'optimizer of another type': (lambda c: c.update(optimizer='Adam'), 'optimizer: it is not like'),
    'no groups': (lambda c: c['optimizer'].pop('param_groups'), 'optimizer: param_groups is missing'),
    'two groups': (
        lambda c: c['optimizer']['param_groups'].append(copy.deepcopy(group(c))),
        'optimizer: param_groups is not like',
    ),
    'a parameter too few': (lambda c: group(c)['params'].pop(), 'optimizer: param_groups.0.params is not like'),
    'no learning rate': (lambda c: group(c).pop('lr'), 'optimizer: param_groups.0.lr is missing'),
    'a learning rate as text': (lambda c: group(c).update(lr='0.1'), 'optimizer: param_groups.0.lr is not like'),
    'one beta': (lambda c: group(c).update(betas=(0.9,)), 'optimizer: param_groups.0.betas is not like'),
    'betas as text': (lambda c: group(c).update(betas=('a', 'b')), 'optimizer: param_groups.0.betas.0 is not like'),
    'no moments': (lambda c: c['optimizer'].pop('state'), 'optimizer: state is missing'),
    'all moments lost': (lambda c: c['optimizer']['state'].clear(), 'optimizer: the moments of 0 parameters'),
    'moments of one weight lost': (lambda c: c['optimizer']['state'].pop(0), 'optimizer: the moments of 1 parameters'),
    'moments of nothing': (
        lambda c: c['optimizer']['state'].update({7: moment(c)}),
        'optimizer: the moments of 3 parameters',
    ),
    'a moment lost': (lambda c: moment(c).pop('exp_avg'), 'optimizer: the moments of 2 parameters'),
    'a moment of another shape': (
        lambda c: moment(c).update(exp_avg=torch.zeros(3, 5)),
        'optimizer: exp_avg does not fit a weight of shape (1, 2)',
    ),
    'a moment that is text': (lambda c: moment(c).update(exp_avg='x'), 'optimizer: exp_avg does not fit'),
    'a moment that is NaN': (lambda c: moment(c)['exp_avg'].fill_(float('nan')), 'optimizer: exp_avg does not fit'),
    'moments of another type': (lambda c: c['optimizer']['state'].update({0: [1]}), 'optimizer: '),
    'no schedules': (lambda c: c.pop('param_schedulers'), 'param_schedulers: it is not like'),
    'schedules of another type': (lambda c: c.update(param_schedulers={}), 'param_schedulers: it is not like'),
    'no schedule': (lambda c: c['param_schedulers'].clear(), 'param_schedulers: it is not like'),
    'a schedule that is none': (lambda c: c.update(param_schedulers=[5]), 'param_schedulers: 0 is not like'),
    'a schedule without its place': (
        lambda c: c['param_schedulers'][0].pop('last_step'),
        'param_schedulers: 0.last_step is missing',
    ),
    'a place that is text': (
        lambda c: c['param_schedulers'][0].update(last_step='4'),
        'param_schedulers: 0.last_step is not like',
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', DAMAGES)
def test_what_is_damaged_is_named(runner, trained, name):
    damage, expected = DAMAGES[name]
    content = copy.deepcopy(trained)
    damage(content)
    assert training_state_fault(runner, content).startswith(expected)


def test_what_is_sound_is_not(runner, trained):
    assert training_state_fault(runner, trained) is None
    beginning = copy.deepcopy(trained)  # before the first step there are no moments
    beginning['optimizer']['state'] = {}
    beginning['meta'].update(epoch=0, iter=0)
    assert training_state_fault(runner, beginning) is None


def test_hooks_of_others_are_left_alone(runner, trained, monkeypatch):
    """MMEngine's EMAHook cannot read a checkpoint before the run has begun."""
    monkeypatch.setattr(runner, '_hooks', [*runner.hooks, EMAHook()])
    assert training_state_fault(runner, trained) is None
