"""Rows of test-selected epochs, of means over trials, and of published figures."""

import json
import re

import numpy as np
import pytest

from dscreid.engine.selected_on_test import SelectedEpoch
from dscreid.errors import CheckpointError, ConfigError
from dscreid.visualization import (
    ReportRun,
    find_work_dirs,
    format_results_table,
    mean_rows,
    published_rows,
    selected_row,
)
from dscreid.visualization.results import is_best, results_table_html

NAMES = ('rgb2ir/Rank-1', 'rgb2ir/mAP', 'ir2rgb/Rank-1', 'ir2rgb/mAP')


@pytest.fixture
def run_of(tmp_path):
    """Function that writes the folder of a run on RegDB: last epoch, test-selected epoch, config."""

    def write(trial, base, config='adca_regdb', protocol='regdb', seed=1, **others):
        folder = tmp_path / f'trial_{trial}_{seed}' / 'adca'
        (folder / 'x' / 'vis_data').mkdir(parents=True)
        metrics = {name: base + place / 100 for place, name in enumerate(NAMES)}
        better = {name: value + 0.05 for name, value in metrics.items()}
        selected = dict(metric='rgb2ir/mAP', epoch=38, metrics=better)
        (folder / 'metrics.json').write_text(json.dumps({**metrics, 'test_selected': selected, **others}))
        text = f"trial = {trial}\nrandomness = dict(seed={seed})\ntest_evaluator = dict(protocol='{protocol}')\n"
        (folder / 'x' / 'vis_data' / 'config.py').write_text(text)
        (folder / f'{config}.py').write_text(text)
        return folder

    return write


def loaded(*folders):
    return [(one, one.load_run()) for one in find_work_dirs([str(folder) for folder in folders])]


def test_a_test_selected_epoch_is_a_row_that_does_not_compete(run_of):
    ((work_dir, run),) = loaded(run_of(1, 0.3))
    (row,) = selected_row(run, work_dir.metrics)
    assert row.name == 'adca, test-selected (epoch 38)'
    assert row.metrics['rgb2ir/mAP'] == pytest.approx(0.36)
    other = ReportRun('other', dict.fromkeys(NAMES, 0.2))
    rows = [other, run, row]
    assert [is_best(one, rows, 'rgb2ir/mAP') for one in rows] == [False, True, False]
    assert row.gain_over(other, 'rgb2ir/mAP') is None
    assert run.gain_over(other, 'rgb2ir/mAP') == pytest.approx(11)


def test_the_mean_over_trials(run_of):
    members = loaded(*(run_of(trial, 0.3 + trial / 50) for trial in (1, 2, 3)))
    (last, selected), (remark,) = mean_rows({'adca_regdb': members})
    values = [0.31 + trial / 50 for trial in (1, 2, 3)]
    assert last.metrics['rgb2ir/mAP'] == pytest.approx(np.mean(values))
    assert last.deviations['rgb2ir/mAP'] == pytest.approx(np.std(values))
    assert selected.metrics['rgb2ir/mAP'] == pytest.approx(np.mean(values) + 0.05)
    assert (last.reference, selected.reference) == (False, True)
    assert last.name == 'adca_regdb, mean of 3 runs'
    expected = 'mean ± standard deviation of trial 1, seed 1; trial 2, seed 1; trial 3, seed 1.'
    assert remark == f'adca_regdb: {expected}'
    assert re.search(r'RGB→IR +34\.0±1\.6 +35\.0±1\.6', format_results_table([last, selected]))
    assert '35.0±1.6' in results_table_html([last])


def test_a_trial_that_is_counted_twice_is_refused(run_of):
    members = loaded(run_of(1, 0.3), run_of(2, 0.3))
    with pytest.raises(ConfigError, match='two runs of adca_regdb have trial 1, seed 1; leave one of them out'):
        mean_rows({'adca_regdb': [*members, members[0]]})


def test_runs_without_a_config_cannot_be_told_apart(run_of):
    folders = run_of(1, 0.3), run_of(2, 0.3)
    for folder in folders:
        for config in folder.rglob('*.py'):
            config.unlink()
    with pytest.raises(ConfigError, match='two runs of adca have no recorded trial and seed; leave one of them out'):
        mean_rows({'adca': loaded(*folders)})


def test_a_trial_without_metrics_is_refused(run_of):
    members = loaded(run_of(1, 0.3, evaluated=False, reason='no test set'), run_of(2, 0.3))
    with pytest.raises(ConfigError, match=r'--mean: .* was not evaluated: no test set'):
        mean_rows({'adca_regdb': members})


def test_published_figures_of_a_config(run_of):
    work_dirs = find_work_dirs([str(run_of(trial, 0.3)) for trial in (1, 2)])
    (row,) = published_rows(work_dirs)
    assert row.name == 'ADCA, published for RegDB (test-selected)'
    assert row.reference
    assert row.metrics == pytest.approx(dict(zip(NAMES, (0.6720, 0.6405, 0.6848, 0.6381), strict=True)))


def test_two_data_sets_have_a_published_row_each(run_of):
    work_dirs = find_work_dirs([
        str(run_of(1, 0.3)), str(run_of(2, 0.3, config='adca_sysu_mm01', protocol='sysu_mm01_all_single')),
    ])  # fmt: skip
    assert [row.name for row in published_rows(work_dirs)] == [
        f'ADCA, published for {name} (test-selected)' for name in ('RegDB', 'SYSU-MM01, all search')
    ]


@pytest.mark.parametrize('settings', [dict(config='my_method'), dict(protocol='regdb_visible2thermal')])
def test_other_configs_and_protocols_have_no_published_figures(run_of, settings):
    assert published_rows(find_work_dirs([str(run_of(1, 0.3, **settings))])) == []


def test_a_damaged_entry_is_named(run_of):
    ((work_dir, run),) = loaded(run_of(1, 0.3, test_selected=dict(metric='rgb2ir/mAP', epoch='x', metrics={})))
    with pytest.raises(CheckpointError, match=r'metrics\.json: is not a record of the test-selected epoch'):
        selected_row(run, work_dir.metrics)


def test_the_record_of_an_epoch_names_its_metric():
    assert SelectedEpoch('a/mAP', 3, {'a/mAP': 0.5, 'a/mINP': 0.4}).value == 0.5
