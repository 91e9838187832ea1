"""The comparison that the kill bench rests on finds every bit, and the table counts what it found."""

import copy

import kill_bench
import numpy as np
import pytest
import torch
from kill_bench import Kill, differences, kill_table, run_kill_bench
from mmengine.logging import HistoryBuffer

from dscreid.errors import ConfigError


def history(*values):
    return HistoryBuffer(list(values), [1] * len(values))


def checkpoint():
    return dict(
        state_dict=dict(weight=torch.tensor([0.0, 1.0]), count=torch.tensor(3)),
        optimizer=dict(state={0: dict(exp_avg=torch.ones(2))}, param_groups=[dict(lr=0.1, betas=(0.9, 0.99))]),
        param_schedulers=[dict(last_step=3)],
        message_hub=dict(log_scalars={'train/loss': history(1.0, 2.0), 'train/time': history(5.0)}),
        meta=dict(epoch=3, time='today', run='a'),
    )


def test_copies_do_not_differ():
    other = copy.deepcopy(checkpoint())
    other['meta'].update(time='tomorrow', run='b')
    other['message_hub']['log_scalars']['train/time'] = history(6.0)
    other['message_hub']['log_scalars']['val/mAP'] = history(0.5)
    assert differences(checkpoint(), other) == []


def change(path, value):
    other = checkpoint()
    node = other
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return other


@pytest.mark.parametrize(
    ('path', 'value', 'place'),
    [
        (
            ('state_dict', 'weight'),
            torch.tensor([-0.0, 1.0]),
            '.state_dict.weight: values',
        ),  # equal, but not in bits
        (('state_dict', 'weight'), torch.tensor([0.0, 1.0 + 1e-7]), '.state_dict.weight: values'),
        (('state_dict', 'count'), torch.tensor(3, dtype=torch.int32), '.state_dict.count: values'),
        (('state_dict', 'more'), torch.ones(1), '.state_dict.more: in one alone'),
        (('optimizer', 'state', 0, 'exp_avg'), torch.zeros(2), '.optimizer.state.0.exp_avg: values'),
        (('optimizer', 'param_groups', 0, 'lr'), 0.2, '.optimizer.param_groups[0].lr: 0.1 and 0.2'),
        (('param_schedulers',), [], '.param_schedulers: lengths 1 and 0'),
        (('message_hub', 'log_scalars', 'train/loss'), history(1.0, 3.0), '.train/loss: values'),
        (('meta', 'epoch'), 4, '.meta.epoch: 3 and 4'),
    ],
)
def test_each_difference_is_found(path, value, place):
    (found,) = differences(checkpoint(), change(path, value))
    assert found.endswith(place)


def test_nan_equals_itself():
    assert differences(dict(a=float('nan'), b=np.array([np.nan])), dict(a=float('nan'), b=np.array([np.nan]))) == []


def test_the_table_counts():
    kills = [
        Kill(1.0, 9, 'training', -9, ()),
        Kill(2.0, 9, 'training', -9, ('epoch_3.pth: .x: values',)),
        Kill(3.0, 9, 'clustering', -9, ()),
        Kill(9.0, 9, 'evaluation', 0, ()),
    ]
    lines = kill_table(kills).splitlines()
    assert '| training | 2 | 1 |' in lines
    assert '| clustering | 1 | 1 |' in lines
    assert '| all | 3 | 2 |' in lines
    assert '1 of 4 processes were done before the signal came.' in lines
    assert lines[-1] == 'training, 2.00 s: epoch_3.pth: .x: values'


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / 'thesis.txt').touch()
    with pytest.raises(ConfigError, match='holds something else'):
        run_kill_bench(tmp_path, 1)
    assert (tmp_path / 'thesis.txt').exists()


def test_signals_that_come_too_late_are_not_counted(tmp_path, monkeypatch):
    clock, moments = iter((0.0, 10.0)), []

    def trial(config, folder, name, moment, number):
        moments.append(moment)
        return Kill(min(moment, 2.0), number, 'training', 0 if moment > 2 else -9, ())

    monkeypatch.setattr(kill_bench.time, 'perf_counter', lambda: next(clock))
    monkeypatch.setattr(kill_bench, '_prepare_folder', lambda folder: folder / 'config.py')
    monkeypatch.setattr(kill_bench, 'run_in_process', lambda *arguments: 0)
    monkeypatch.setattr(kill_bench, '_trial', trial)
    kills = run_kill_bench(tmp_path, 5, seed=1)
    late = [kill.exit_code == 0 for kill in kills]
    assert (late.count(True), late.count(False)) == (1, 5)
    assert 2 < moments[late.index(True)] < 10
    assert all(moment < 2 for moment in moments[late.index(True) + 1 :])
