"""Evaluations that cannot work are refused before anything long starts (``dscreid.apis.test``)."""

import shutil

import pytest
from mmengine import Config
from tiny_runs import write_tiny_configs

from dscreid.apis.dry_run import plan_experiment
from dscreid.apis.preflight import check_stage
from dscreid.apis.test import check_evaluations, evaluate, evaluations_of, protocols_of
from dscreid.apis.train import RunOptions, prepare, run_experiment
from dscreid.errors import DatasetError

pytestmark = pytest.mark.usefixtures('one_thread_throughout')


@pytest.fixture
def world(tiny_runs, tmp_path):
    """A copy of the target, of which a test may change the index, and the configs of an experiment on it."""
    shutil.copytree(tiny_runs.hitsz, tmp_path / 'hitsz')
    _, adapt = write_tiny_configs(tmp_path / 'configs', tiny_runs.bupt, tmp_path / 'hitsz')
    return tmp_path / 'hitsz/info', adapt


def change_column(info, column, value):
    """Set a column of every test tracklet (0 modality, 3 person, 4 camera)."""
    path = info / 'track_test_info.txt'
    lines = [line.split() for line in path.read_text().splitlines()]
    for number, fields in enumerate(lines):
        fields[column] = str(value(number))
    path.write_text('\n'.join(' '.join(fields) for fields in lines) + '\n')


def one_camera(info):
    change_column(info, 4, lambda number: 1)


def strangers(info):
    change_column(info, 3, lambda number: 1000 + number)


def all_queries(info):
    count = len((info / 'track_test_info.txt').read_text().splitlines())
    (info / 'query_IDX.txt').write_text(' '.join(map(str, range(1, count + 1))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (one_camera, 'gallery tracklets of other cameras'),
        (strangers, 'none of the'),
        (all_queries, 'queries of one modality'),
    ],
)
def test_the_start_of_training_a_dry_run_and_a_test_refuse(world, tiny_experiment, tmp_path, damage, message):
    info, config = world
    damage(info)
    options = RunOptions(work_dir=tmp_path / 'runs/dsc')
    with pytest.raises(DatasetError, match=message):
        plan_experiment(config, options)
    with pytest.raises(DatasetError, match=message):
        run_experiment(config, options)
    assert not list(tmp_path.glob('runs/**/*.pth'))  # nor was the source stage trained
    with pytest.raises(DatasetError, match=message):
        evaluate(prepare(config, options), tiny_experiment.checkpoint, tmp_path / 'test')


def test_a_config_without_training_is_checked_before_its_source_stage(world, tmp_path):
    info, config = world
    one_camera(info)
    evaluated = config.with_name('tiny_cd.py')
    evaluated.write_text("_base_ = 'tiny_dsc.py'\ntrain_cfg = None\n")
    options = RunOptions(work_dir=tmp_path / 'runs/cd')
    with pytest.raises(DatasetError, match='gallery tracklets of other cameras'):
        check_stage(prepare(evaluated, options))
    with pytest.raises(DatasetError, match='gallery tracklets of other cameras'):
        plan_experiment(evaluated, options)


def test_a_query_list_of_both_modalities_names_the_lines(world):
    info, config = world
    numbers = (info / 'query_IDX.txt').read_text().split()
    kinds = [line.split()[0] for line in (info / 'track_test_info.txt').read_text().splitlines()]
    visible = kinds.index('2') + 1
    (info / 'query_IDX.txt').write_text(' '.join([*numbers, str(visible)]))
    with pytest.raises(DatasetError, match=rf'the query list .* visible ones \(.*track_test_info.txt:{visible}\)'):
        check_evaluations(prepare(config, RunOptions()))


def test_each_pair_of_dataset_and_protocol_is_checked_once(tiny_runs):
    config = prepare(tiny_runs.adapt, RunOptions())
    assert [protocol for _, protocol in evaluations_of(config)] == ['hitsz_vcm']
    config.test_evaluator.protocol = 'bupt_campus'
    pairs = list(evaluations_of(config))
    assert [protocol for _, protocol in pairs] == ['hitsz_vcm', 'bupt_campus']
    assert pairs[0][0].split == pairs[1][0].split
    config.test_dataloader.dataset.min_seq_len = 13
    pairs = list(evaluations_of(config))
    assert [len(pairs[0][0]) > len(pairs[1][0]), len(pairs)] == [True, 2]
    assert list(evaluations_of(Config({'val_dataloader': None}))) == []


def test_protocols_of_every_form_of_evaluator():
    one, default = dict(type='ReIDMetric', protocol='bupt_campus'), dict(type='ReIDMetric')
    assert protocols_of(one) == ['bupt_campus']
    assert protocols_of([one, default, dict(type='Other')]) == ['bupt_campus', 'hitsz_vcm']
    assert protocols_of(dict(type='Evaluator', metrics=[default])) == ['hitsz_vcm']
    assert protocols_of(None) == protocols_of(dict(type='ReIDMetric', protocol=None)) == []


def test_tracklets_that_no_direction_ranks_are_counted_once(world, monkeypatch):
    info, config = world
    numbers = (info / 'query_IDX.txt').read_text().split()
    (info / 'query_IDX.txt').write_text(' '.join(numbers[1:]))  # an infrared tracklet is no query any more
    logged = []
    monkeypatch.setattr('dscreid.apis.test.print_log', lambda message, **_: logged.append(message))
    for _ in range(2):
        check_evaluations(prepare(config, RunOptions()))
    assert len(logged) == 1
    assert '1 of ' in logged[0]
    assert 'test tracklets are ranked in no direction of protocol hitsz_vcm' in logged[0]
