"""Adaptation to targets without person ids or without a test set, through the tools; nothing is measured."""

import json
import shutil

import numpy as np
import pytest
import torch

from dscreid.apis.command_line import run_command
from dscreid.apis.dry_run import plan_experiment
from dscreid.apis.train import RunOptions
from dscreid.evaluation import load_features
from dscreid.visualization.sources import read_evaluation

pytestmark = pytest.mark.usefixtures('one_thread_throughout')

WITHOUT_TEST_SET = """
_base_ = {base!r}
source = dict(config={source!r}, checkpoint=None)
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
"""


@pytest.fixture(scope='module')
def train(load_tool):
    return load_tool('train.py').main


@pytest.fixture(scope='module')
def run_test(load_tool):
    return load_tool('test.py').main


@pytest.fixture(scope='module')
def anonymous(tiny_runs, tmp_path_factory):
    """The target with the person ids of all splits removed from its index."""
    root = tmp_path_factory.mktemp('anonymous') / 'hitsz'
    shutil.copytree(tiny_runs.hitsz, root)
    for index in root.glob('info/track_*_info.txt'):
        rows = [line.split() for line in index.read_text().splitlines()]
        index.write_text('\n'.join(' '.join([*row[:3], '-1', row[4]]) for row in rows) + '\n')
    return root


@pytest.fixture(scope='module')
def without_test_split(anonymous, tmp_path_factory):
    """The target with its training split only."""
    root = tmp_path_factory.mktemp('training') / 'hitsz'
    shutil.copytree(anonymous, root)
    shutil.rmtree(root / 'Test')
    for name in ('test_name', 'track_test_info', 'query_IDX'):
        (root / 'info' / f'{name}.txt').unlink()
    return root


def refused(capsys, function, *arguments):
    """The one sentence and exit code 2 with which a tool refuses something."""
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: function([str(argument) for argument in arguments]))
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def adapt(train, config, experiment, work_dir, *options):
    options = ['train_cfg.val_interval=1', 'train_cfg.max_epochs=1', *options]
    train(
        [
            *map(str, (config, '--work-dir', work_dir, '--source-checkpoint', experiment.source_checkpoint)),
            *('--cfg-options', *map(str, options)),
        ]
    )


def check_run(work_dir, checkpoint, tracklets, reason, output):
    """What a run without evaluation leaves and prints."""
    metrics = json.loads((work_dir / 'metrics.json').read_text())
    assert metrics.pop('evaluated') is False
    assert reason in metrics.pop('reason')
    assert read_evaluation(work_dir / 'metrics.json')[0] == {}
    features = load_features(work_dir / 'features.safetensors')
    assert len(features) == tracklets
    assert np.isfinite(features.feature).all()
    assert (features.pid == -1).all()
    lines = output.splitlines()
    assert lines[-3] == f'checkpoint: {work_dir / checkpoint}'
    assert lines[-2].startswith(f'features: {work_dir / "features.safetensors"} ({tracklets} tracklets')
    assert lines[-1].startswith('no evaluation: ')
    assert reason in lines[-1]
    return metrics


def test_a_config_without_a_test_set(train, tiny_runs, tiny_experiment, without_test_split, tmp_path, capsys):
    config, work_dir = tmp_path / 'config.py', tmp_path / 'run'
    base, source = map(str, (tiny_runs.adapt, tiny_runs.source))
    config.write_text(WITHOUT_TEST_SET.format(base=base, source=source))
    adapt(train, config, tiny_experiment, work_dir, f'data_root={without_test_split}')
    assert check_run(work_dir, 'epoch_1.pth', 48, 'no test set', capsys.readouterr().out) == {}


@pytest.mark.slow
def test_a_test_index_without_ids(train, tiny_runs, tiny_experiment, anonymous, tmp_path, capsys):
    criterion = ('default_hooks.selection.type=SelectionHook', 'default_hooks.selection.criterion=silhouette')
    adapt(train, tiny_runs.adapt, tiny_experiment, tmp_path, f'data_root={anonymous}', *criterion)
    output = capsys.readouterr().out
    note = check_run(tmp_path, 'best_silhouette_epoch_1.pth', 24, 'no tracklet has a person id', output)
    assert note['checkpoint']['criterion'] == 'silhouette'
    log = ''.join(path.read_text() for path in tmp_path.glob('*/*.log'))
    assert f"no validation: split 'test' of HITSZVCM in {anonymous}: no tracklet has a person id" in log
    assert 'Epoch(val)' not in log
    assert 'silhouette' in json.loads((tmp_path / 'criteria.json').read_text())['epochs']['1']


def test_on_the_command_line(train, tiny_runs, tiny_experiment, without_test_split, tmp_path, capsys):
    message = refused(
        capsys,
        lambda arguments: adapt(train, tiny_runs.adapt, tiny_experiment, tmp_path, *arguments),
        f'data_root={without_test_split}',
    )
    assert 'track_test_info.txt is missing' in message
    remedy = ['val_dataloader=None', 'test_dataloader=None']
    assert ' and '.join(remedy) in message
    adapt(train, tiny_runs.adapt, tiny_experiment, tmp_path, f'data_root={without_test_split}', *remedy)
    check_run(tmp_path, 'epoch_1.pth', 48, 'no test set', capsys.readouterr().out)


def test_ids_that_are_not_to_be_read(train, tiny_runs, tiny_experiment, tmp_path, capsys):
    hidden = [f'{loop}_dataloader.dataset.labelled=False' for loop in ('val', 'test')]
    adapt(train, tiny_runs.adapt, tiny_experiment, tmp_path, *hidden)
    check_run(tmp_path, 'epoch_1.pth', 24, 'labelled=False', capsys.readouterr().out)


@pytest.mark.parametrize('options', [(), ('val_dataloader=None', 'test_dataloader=None')])
def test_a_source_stage_trains_without_test_metrics(train, tiny_runs, tmp_path, capsys, options):
    epochs = ('train_cfg.max_epochs=1', 'val_dataloader.dataset.labelled=False')
    hidden = ('test_dataloader.dataset.labelled=False',)
    train(
        [
            *map(str, (tiny_runs.source, '--work-dir', tmp_path, '--cfg-options', epochs[0])),
            *(options or (epochs[1], *hidden)),
        ]
    )
    assert json.loads((tmp_path / 'metrics.json').read_text())['evaluated'] is False
    lines = capsys.readouterr().out.splitlines()
    assert f'checkpoint: {tmp_path / "epoch_1.pth"}' in lines[-3:]
    assert lines[-1].startswith('no evaluation: ')
    assert (tmp_path / 'features.safetensors').exists() == (not options)


def test_the_test_tool(run_test, tiny_runs, tiny_experiment, anonymous, tmp_path, capsys):
    out, queries, dump = (tmp_path / name for name in ('m.json', 'q.csv', 'f.safetensors'))
    arguments = [
        *map(str, (tiny_runs.adapt, tiny_experiment.checkpoint, '--work-dir', tmp_path / 'log')),
        *('--out', str(out), '--per-query', str(queries), '--confidence', '0.9', '--rerank', '6', '3', '0.3'),
        *('--cfg-options', f'data_root={anonymous}'),
    ]
    run_test(arguments)
    record = json.loads(out.read_text())
    assert record.keys() == {'evaluated', 'reason'}
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f'checkpoint: {tiny_experiment.checkpoint}',
        f'no evaluation: {record["reason"]}',
    ]
    run_test([*arguments, '--dump-features', str(dump)])
    assert json.loads(out.read_text()) == record
    # the same frames and weights as in the run on the target with its ids
    features = load_features(tiny_experiment.work_dir / 'features.safetensors')
    np.testing.assert_array_equal(load_features(dump).feature, features.feature)
    assert not queries.exists()


def test_features_of_a_training_split(run_test, tiny_runs, tiny_experiment, without_test_split, tmp_path, capsys):
    dump = tmp_path / 'f.safetensors'
    arguments = [
        *map(str, (tiny_runs.adapt, tiny_experiment.source_checkpoint, '--work-dir', tmp_path / 'log')),
        *map(str, ('--dump-features', dump, '--protocol', 'hitsz_vcm')),
        *('--cfg-options', 'test_dataloader=None', f'data_root={without_test_split}'),
    ]
    run_test(arguments)
    assert len(load_features(dump)) == 48
    assert f'features: {dump} (48 tracklets of split' in capsys.readouterr().out
    source = [tiny_runs.source, *arguments[1:-1], f'data_root={tiny_runs.bupt}']
    assert 'there are no tracklets to extract features from' in refused(capsys, run_test, *source)


def test_a_dry_run_says_that_nothing_will_be_measured(tiny_runs, anonymous, tmp_path):
    for options, reason in (
        ({'data_root': str(anonymous)}, 'no tracklet has a person id'),
        ({'test_dataloader': None, 'val_dataloader': None}, 'no test set'),
    ):
        text = plan_experiment(tiny_runs.adapt, RunOptions(work_dir=tmp_path / 'run', config_options=options))
        assert text.splitlines()[-1].startswith('then no evaluation: ')
        assert reason in text.splitlines()[-1]


def test_weights_and_features_that_are_not_finite(run_test, tiny_runs, tiny_experiment, tmp_path, capsys):
    content = torch.load(tiny_experiment.checkpoint, weights_only=False)
    content['state_dict']['backbone.tower.conv1.weight'][0] = float('nan')
    torch.save(content, tmp_path / 'spoilt.pth')
    arguments = (tiny_runs.adapt, tmp_path / 'spoilt.pth', '--work-dir', tmp_path / 'log')
    message = refused(capsys, run_test, *arguments, '--dump-features', tmp_path / 'f.safetensors')
    assert 'spoilt.pth: holds NaN or infinite values in backbone.tower.conv1.weight (192 of 6144 values)' in message
    for name, values in content['state_dict'].items():
        if values.is_floating_point():
            content['state_dict'][name] = torch.full_like(values, 1e30)
    torch.save(content, tmp_path / 'huge.pth')
    arguments = (tiny_runs.adapt, tmp_path / 'huge.pth', '--work-dir', tmp_path / 'log')
    message = refused(capsys, run_test, *arguments, '--dump-features', tmp_path / 'f.safetensors')
    assert 'huge.pth: the features of 24 of 24 tracklets hold NaN or infinite values' in message
    assert not (tmp_path / 'f.safetensors').exists()


def test_a_test_set_without_an_evaluator(run_test, tiny_runs, tiny_experiment, tmp_path, capsys):
    dump = tmp_path / 'f.safetensors'
    arguments = [
        *map(str, (tiny_runs.adapt, tiny_experiment.checkpoint, '--work-dir', tmp_path / 'log')),
        *('--cfg-options', 'test_evaluator=None', '--dump-features', str(dump)),
    ]
    run_test(arguments)
    assert len(load_features(dump)) == 24
    assert 'no evaluation protocol' in capsys.readouterr().out.splitlines()[-1]
    out = tmp_path / 'm.json'
    run_test([*arguments, '--protocol', 'hitsz_vcm', '--out', str(out)])
    written = json.loads(out.read_text())
    assert {name: written[name] for name in tiny_experiment.metrics} == tiny_experiment.metrics


@pytest.mark.slow
def test_a_test_set_with_some_ids(run_test, tiny_runs, tiny_experiment, tmp_path, capsys):
    """Unknown persons count as somebody that no query shows."""
    metrics = {}
    for name, stranger in (('unknown', lambda number: '-1'), ('known', lambda number: str(500 + number))):
        root, out = tmp_path / name, tmp_path / f'{name}.json'
        shutil.copytree(tiny_runs.hitsz, root)
        index = root / 'info' / 'track_test_info.txt'
        rows = [line.split() for line in index.read_text().splitlines()]
        for number in range(0, len(rows), 5):
            rows[number][3] = stranger(number)
        index.write_text('\n'.join(map(' '.join, rows)) + '\n')
        run_test(
            [
                *map(str, (tiny_runs.adapt, tiny_experiment.checkpoint, '--work-dir', tmp_path / 'log')),
                *('--out', str(out), '--cfg-options', f'data_root={root}'),
            ]
        )
        metrics[name] = json.loads(out.read_text())
        warned = '5 of 24 tracklets have no person id' in capsys.readouterr().out
        assert warned == (name == 'unknown')
    assert metrics['unknown'] == metrics['known'] != tiny_experiment.metrics
