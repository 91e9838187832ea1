"""Packages of logging backends, checked by ``dscreid.apis.config_check``; trials do without backends."""

from importlib.util import find_spec

import pytest

from dscreid.apis.config_check import check_run
from dscreid.apis.dry_run import plan_experiment
from dscreid.apis.preflight import quiet_runner
from dscreid.apis.train import RunOptions, prepare
from dscreid.errors import ConfigError

MISSING = [
    (name, package)
    for name, package in (
        ('WandbVisBackend', 'wandb'), ('MLflowVisBackend', 'mlflow'), ('ClearMLVisBackend', 'clearml'),
        ('NeptuneVisBackend', 'neptune'), ('DVCLiveVisBackend', 'dvclive'), ('AimVisBackend', 'aim'),
    )
    if find_spec(package) is None
]  # fmt: skip


@pytest.mark.parametrize(('name', 'package'), MISSING)
def test_a_missing_package_is_named(name, package):
    config = dict(visualizer=dict(vis_backends=[dict(type='LocalVisBackend'), dict(type=name)]))
    with pytest.raises(ConfigError, match=rf'^dsc.py: {name} .*run "pip install {package}"'):
        check_run(config, 'dsc.py')


def test_installed_and_unknown_backends():
    backends = [dict(type='TensorboardVisBackend'), dict(type='somebodys.Backend')]
    check_run(dict(visualizer=dict(vis_backends=backends)))
    for config in (dict(), dict(visualizer=None), dict(visualizer=dict(vis_backends=None))):
        check_run(config)


@pytest.mark.skipif(find_spec('wandb') is not None, reason='wandb is installed')
@pytest.mark.parametrize('key', ['vis_backends', 'visualizer.vis_backends'])
def test_on_the_command_line(tiny_runs, tmp_path, key):
    # tiny_dsc.py sets visualizer.vis_backends itself
    options = {'visualizer': dict(_delete_=True, type='Visualizer')} if key == 'vis_backends' else {}
    options = RunOptions(work_dir=tmp_path / 'run', config_options={**options, key: [dict(type='WandbVisBackend')]})
    with pytest.raises(ConfigError, match=r'pip install wandb'):
        plan_experiment(tiny_runs.adapt, options)


def test_a_trial_starts_no_backend(tiny_runs, tmp_path):
    visualizer = dict(_delete_=True, type='Visualizer', vis_backends=[dict(type='TensorboardVisBackend')])
    config = prepare(tiny_runs.source, RunOptions(config_options={'visualizer': visualizer}))
    runner = quiet_runner(config, str(tmp_path), None, None)
    assert [*runner.visualizer._vis_backends] == ['LocalVisBackend']
