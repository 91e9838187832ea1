"""The study of label-free criteria, on hand-made runs and on a real one."""

import json
import math
import shutil

import pytest

from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.test import write_json
from dscreid.apis.train import train_stage
from dscreid.engine.selection_record import SelectionRecord
from dscreid.errors import CheckpointError, ConfigError, DatasetError
from dscreid.lab import selection_study
from dscreid.lab.selection_study import (
    SCORES_FOLDER,
    JudgedRun,
    chosen_epoch,
    picks_of,
    read_run,
    study_markdown,
)


def run(name='run', silhouette=(0.1, 0.4, 0.3, 0.2), scores=(0.5, 0.6, 0.7, 0.65), **others):
    columns = dict(silhouette=silhouette, **others)
    criteria = {
        epoch: {key: column[epoch - 1] for key, column in columns.items() if column[epoch - 1] is not None}
        for epoch in range(1, len(scores) + 1)
    }
    return JudgedRun(name, criteria, dict(enumerate(scores, 1)))


def test_picks_by_hand():
    picks = picks_of(run(stability=(None, 0.2, 0.2, 0.1)))
    assert next(iter(picks)) == 'last'
    silhouette = picks['silhouette']
    assert (silhouette.epoch, silhouette.score) == (2, 0.6)
    assert silhouette.gap == pytest.approx(0.1)
    assert silhouette.gain == pytest.approx(-0.05)
    # ranks 1 4 3 2 against 1 2 4 3: 1 - 6 (0 + 4 + 1 + 1) / (4 (16 - 1))
    assert silhouette.correlation == pytest.approx(0.4)
    assert picks['stability'].epoch == 3  # the later of equal ones, as the hook chooses
    assert (picks['last'].epoch, picks['last'].gain) == (4, 0)
    assert (picks['best'].epoch, picks['best'].gap) == (3, 0)
    assert picks['mean of the epochs'].score == pytest.approx(0.6125)


def test_criteria_without_values_pick_nothing():
    pick = picks_of(run())['cycle_return']
    assert all(math.isnan(value) for value in (pick.epoch, pick.score, pick.gap, pick.gain, pick.correlation))
    assert chosen_epoch({}) is None


def test_a_run_without_epochs():
    with pytest.raises(ConfigError, match='short: no trained epoch was judged'):
        picks_of(JudgedRun('short', {}, {}))


def cells(line):
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_the_table():
    text = study_markdown([run('one'), run('two', silhouette=(0.4, 0.1, 0.2, 0.3))])
    assert text.count('chosen by') == 3
    first, second, mean = text.split('**')[2::2]
    assert ['silhouette', '2', '60.0', '10.0', '-5.0', '+0.40'] in map(cells, first.splitlines())
    assert ['silhouette', '1', '50.0', '20.0', '-15.0', '-0.40'] in map(cells, second.splitlines())
    expected = ['silhouette', '2, 1', '55.0 ± 7.1', '15.0 ± 7.1', '-10.0 ± 7.1', '+0.00 ± 0.57']
    assert expected in map(cells, mean.splitlines())
    assert ['best (test labels)', '3, 3', '70.0 ± 0.0', '0.0 ± 0.0', '+5.0 ± 0.0', '–'] in map(cells, mean.splitlines())
    assert ['stability', '–, –', '–', '–', '–', '–'] in map(cells, mean.splitlines())


def test_one_run_has_no_table_of_means():
    assert study_markdown([run()]).count('chosen by') == 1


def write_run(folder, validated):
    SelectionRecord({epoch: dict(silhouette=0.1 * epoch) for epoch in range(4)}).write(folder)
    for number, part in enumerate(validated):
        (folder / f'2026_{number}' / 'vis_data').mkdir(parents=True)
        lines = [json.dumps({'mean/mAP': value, 'step': epoch}) for epoch, value in part.items()]
        (folder / f'2026_{number}' / 'vis_data' / 'scalars.json').write_text('\n'.join(lines))
    return folder


def test_validated_runs_need_no_checkpoint(tmp_path):
    found = read_run(write_run(tmp_path, [{1: 0.5, 2: 0.6}, {2: 0.7, 3: 0.8}]))
    assert found.scores == {1: 0.5, 2: 0.7, 3: 0.8}
    assert list(found.criteria) == [1, 2, 3]  # the source model's weights are no candidate


def test_checkpoints_that_were_not_validated_are_evaluated_once(tmp_path, monkeypatch):
    calls = []

    def fake_evaluate(config, checkpoint, work_dir, out):
        calls.append((config, checkpoint.name))
        write_json(out, {'mean/mAP': 0.9, 'mean/mINP': 0.3})

    monkeypatch.setattr(selection_study, 'evaluate', fake_evaluate)
    monkeypatch.setattr(selection_study, 'load_config', lambda path: path.name)
    write_run(tmp_path, [{2: 0.6}])
    for name in ('epoch_1.pth', 'epoch_3.pth', 'method.py', '20261124_023000.py'):
        (tmp_path / name).touch()
    for _ in range(2):
        assert read_run(tmp_path).scores == {1: 0.9, 2: 0.6, 3: 0.9}
        assert calls == [('method.py', 'epoch_1.pth'), ('method.py', 'epoch_3.pth')]
    (tmp_path / 'epoch_2.pth').touch()
    assert read_run(tmp_path, 'mean/mINP').scores == {1: 0.3, 2: 0.3, 3: 0.3}
    with pytest.raises(ConfigError, match=r"no metric 'mean/map'; known are mean/mAP, mean/mINP"):
        read_run(tmp_path, 'mean/map')


def test_a_run_without_test_metrics_cannot_be_studied(tiny_runs, tiny_experiment, tmp_path, one_thread):
    SelectionRecord({epoch: dict(silhouette=0.1) for epoch in (0, 1)}).write(tmp_path)
    shutil.copy(tiny_experiment.checkpoint, tmp_path / 'epoch_1.pth')
    load_config(tiny_runs.adapt, {'test_dataloader': None}).dump(tmp_path / 'method.py')
    with pytest.raises(DatasetError, match='there are no test metrics to compare criteria with: the config'):
        read_run(tmp_path)


def test_runs_that_cannot_be_studied(tmp_path):
    with pytest.raises(CheckpointError, match=r'criteria\.json is missing; train with SelectionHook'):
        read_run(tmp_path)
    write_run(tmp_path, [{2: 0.6}])
    with pytest.raises(CheckpointError, match=r'epochs \[1, 3\] have neither metrics nor checkpoints'):
        read_run(tmp_path)
    (tmp_path / 'epoch_1.pth').touch()
    (tmp_path / 'epoch_3.pth').touch()
    with pytest.raises(ConfigError, match='contains 0 configs'):
        read_run(tmp_path)


@pytest.mark.slow
def test_a_real_run(tiny_runs, tiny_experiment, tmp_path, one_thread):
    options = {
        'default_hooks.selection': dict(type='SelectionHook', criterion='silhouette'),
        'default_hooks.checkpoint.max_keep_ckpts': -1,
    }
    config = load_config(tiny_runs.adapt, options)
    config.work_dir = str(tmp_path / 'run')
    fit_to_machine(config)
    train_stage(config, source_checkpoint=tiny_experiment.source_checkpoint)
    found = read_run(tmp_path / 'run')  # validated after the second epoch alone
    assert list(found.scores) == [1, 2]
    assert [path.name for path in (tmp_path / 'run' / SCORES_FOLDER).glob('*.json')] == ['epoch_1.json']
    assert found.scores[2] == pytest.approx(tiny_experiment.metrics['mean/mAP'])
    assert picks_of(found)['best'].score == max(found.scores.values())
