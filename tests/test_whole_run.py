"""The whole job on tiny worlds: render, source stage, adaptation with DSLU and DSJL, resume, test."""

import json
import math
import os
from dataclasses import replace

import pytest
from tiny_runs import read_figures, write_tiny_configs

from dscreid.apis import evaluate, load_config, run_experiment
from dscreid.apis.train import RunOptions
from dscreid.errors import ConfigError
from dscreid.evaluation import load_features
from dscreid.lab.synthetic import make_spec, render_world

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
DIRECTIONS = ('rgb2ir', 'ir2rgb', 'mean')
MEASURES = ('Rank-1', 'Rank-5', 'Rank-10', 'Rank-20', 'mAP', 'mINP')


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    """Worlds and configs of this file's own, so that the path from nothing is walked once more."""
    folder = tmp_path_factory.mktemp('whole')
    for layout, domain in (('bupt', 'bupt'), ('hitsz', 'hitsz')):
        spec = make_spec('tiny', layout, domain, seed=5, height=32, width=16, train_ids=5, test_ids=3)
        render_world(folder / layout, spec, num_processes=1, progress=False)
    # after three epochs on so few people, clusters are near each other; which ones merge would depend on rounding
    write_tiny_configs(folder, folder / 'bupt', folder / 'hitsz', 'clustering.update(eps=0.4)\n')
    return folder


def times(folder):
    return {path: os.stat(path).st_mtime_ns for path in folder.rglob('*') if path.is_file()}


def check_results(work_dir, metrics):
    assert read_figures(work_dir) == metrics
    assert set(metrics) == {f'{direction}/{measure}' for direction in DIRECTIONS for measure in MEASURES}
    assert all(math.isfinite(value) and 0 <= value <= 1 for value in metrics.values())
    features = load_features(work_dir / 'features.safetensors')
    assert len(features) == 24
    finished = json.loads((work_dir / 'finished.json').read_text())
    assert (work_dir / finished['checkpoint']).is_file()
    assert finished['seconds'] > 0


@pytest.mark.slow
def test_from_rendered_worlds_to_metrics(configs, monkeypatch):
    runs, said = configs / 'runs', []
    monkeypatch.setattr('dscreid.apis.train.print_log', lambda message, **options: said.append(message))
    metrics = run_experiment(configs / 'tiny_dsc.py', RunOptions(work_dir=runs / 'dsc'))
    check_results(runs / 'dsc', metrics)
    assert (runs / 'tiny_source' / 'finished.json').is_file()
    assert said == [f'source stage: tiny_source.py in {runs}/tiny_source is trained first']

    # a longer schedule goes on from the last epoch, with the same source stage
    before = times(runs / 'tiny_source')
    options = RunOptions(
        work_dir=runs / 'dsc',
        resume=True,
        config_options={'train_cfg.max_epochs': 3},
    )
    longer = run_experiment(configs / 'tiny_dsc.py', options)
    assert (runs / 'dsc' / 'epoch_3.pth').is_file()
    check_results(runs / 'dsc', longer)
    assert times(runs / 'tiny_source') == before

    # finished: nothing is trained again
    weights = times(runs)
    again = run_experiment(configs / 'tiny_dsc.py', options)
    assert again == longer
    assert {path: when for path, when in times(runs).items() if path.suffix == '.pth'} == {
        path: when for path, when in weights.items() if path.suffix == '.pth'
    }

    # the tool's view of the same checkpoint
    config = load_config(configs / 'tiny_dsc.py')
    assert evaluate(config, runs / 'dsc' / 'epoch_3.pth', runs / 'test') == longer


def test_a_config_that_trains_nothing_tests_its_source(configs):
    """The baseline CD."""
    (configs / 'tiny_cd.py').write_text(
        "_base_ = 'tiny_dsc.py'\n"
        "model = dict(_delete_=True, type='SourceReID', num_classes=None, backbone=_base_.backbone,\n"
        '             data_preprocessor=_base_.data_preprocessor)\n'
        'train_cfg = train_dataloader = optim_wrapper = param_scheduler = None\n'
        'val_cfg = val_dataloader = val_evaluator = None\n'
    )
    runs = configs / 'runs'
    metrics = run_experiment(configs / 'tiny_cd.py', RunOptions(work_dir=runs / 'cd'))
    written = json.loads((runs / 'cd' / 'metrics.json').read_text())
    note, rankings = written.pop('run'), written.pop('rankings')
    assert written == rankings['neck_both'] == metrics
    assert list((runs / 'cd').glob('*.pth')) == []

    # the same test again, and one of another config, of other source weights, or without a word about the first
    options = RunOptions(work_dir=runs / 'cd', resume=True)
    assert run_experiment(configs / 'tiny_cd.py', options) == metrics
    other = replace(options, config_options={'model.flip_test': True})
    weights = replace(options, source_checkpoint=runs / 'tiny_source' / 'epoch_1.pth')
    for refused in (other, weights):
        with pytest.raises(ConfigError, match=r'was made with another config, seed or source weights; .*--overwrite'):
            run_experiment(configs / 'tiny_cd.py', refused)
    with pytest.raises(ConfigError, match=r'holds a run \(metrics\.json.*--resume.*--work-dir.*--overwrite'):
        run_experiment(configs / 'tiny_cd.py', replace(options, resume=False))
    assert json.loads((runs / 'cd' / 'metrics.json').read_text()) == metrics | {'run': note, 'rankings': rankings}
    run_experiment(configs / 'tiny_cd.py', replace(weights, resume=False, overwrite=True))
    assert json.loads((runs / 'cd' / 'metrics.json').read_text())['run']['source'] != note['source']
