"""``tools/report.py`` with ``dscreid.apis.report`` and ``dscreid.visualization.sources`` below it."""

import json
import re

import numpy as np
import pytest

from dscreid.apis.command_line import run_command
from dscreid.evaluation import save_features
from dscreid.registry import DATASETS
from dscreid.visualization import PAPER_FOOTNOTE, WorkDir

CONFIG = """
optim_wrapper = dict(optimizer=dict(type='Adam', lr={lr}))
test_dataloader = dict(dataset=dict(type='FakeTestSet'))
test_evaluator = dict(type='ReIDMetric', protocol='hitsz_vcm')
work_dir = {lr!r}
"""


@pytest.fixture
def run_tool(load_tool, capsys):
    """Function that runs the tool and returns its exit code, output and errors."""

    def call(*arguments):
        code = 0
        try:
            run_command(lambda: load_tool('report.py').main([str(argument) for argument in arguments]))
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def page_of(files, parse):
    return lambda name='report.html': parse((files / name).read_text(encoding='utf-8'))


@pytest.fixture
def files(tmp_path, metrics, features, dataset):
    class FakeTestSet:
        def __init__(self, pipeline=()):
            self.root, self.tracklets = dataset.root, dataset.tracklets

    for name, base, noise in (('cd', 0.3, 1.5), ('dsc', 0.4, 0.5)):
        (tmp_path / f'{name}.json').write_text(json.dumps(metrics(base)))
        save_features(tmp_path / f'{name}.safetensors', features(1, noise))
    (tmp_path / 'scalars.json').write_text('{"loss": 1.0, "iter": 1}\n')
    (tmp_path / 'config.py').write_text(CONFIG.format(lr=0.1))
    DATASETS.register_module(name='FakeTestSet', module=FakeTestSet, force=True)
    yield tmp_path
    DATASETS.module_dict.pop('FakeTestSet')


@pytest.fixture
def arguments(files):
    return [
        *('--run', f'CD={files}/cd.json,{files}/cd.safetensors'),
        *('--run', f'DSC={files}/dsc.json,{files}/dsc.safetensors'),
        *('--out', f'{files}/report.html'),
    ]


@pytest.fixture
def work_dir(files, metrics, features):
    """Function that makes a work directory as a run leaves it, in two sessions and an evaluation."""

    def make(name, lr=0.1, base=0.3):
        folder = files / name
        save_features(folder / 'features.safetensors', features(1, 1 - base))
        (folder / 'metrics.json').write_text(json.dumps(metrics(base)))
        (folder / 'finished.json').write_text('{"config": "c", "checkpoint": "epoch_4.pth", "seconds": 185.0}')
        for session, epochs in (('20250101_000000', (1, 2)), ('20250102_000000', (3, 4))):
            data = folder / session / 'vis_data'
            data.mkdir(parents=True)
            records = [
                {'labels/rgb_clusters': 10 * epoch * base, 'loss': lr / epoch, 'iter': epoch, 'step': epoch}
                for epoch in epochs
            ]
            (data / 'scalars.json').write_text('\n'.join(map(json.dumps, records)))
            (data / 'config.py').write_text(CONFIG.format(lr=lr))
        evaluation = folder / '20250103_000000' / 'vis_data'
        evaluation.mkdir(parents=True)
        (evaluation / 'config.py').write_text('x = 1\n')
        return folder

    return make


# ---- files by option ----
def test_a_whole_report(run_tool, files, arguments, page_of):
    options = ['--config', f'{files}/config.py', '--scalars', f'Adaptation={files}/scalars.json']
    code, out, _ = run_tool(*arguments, *options, '--note', 'Data.')
    assert code == 0
    assert len(page_of().photos) == 2 * 4 * (1 + 2 * 6)
    assert 'Total loss' in page_of().texts
    assert '+10.0' in out
    assert f'wrote {files}/report.html' in out


def test_without_config_there_are_no_pictures(run_tool, files, arguments, page_of):
    arguments[1] = f'CD={files}/cd.json'
    code, _, _ = run_tool(*arguments, '--bound', 'DSC', '--paper', 'hitsz_vcm')
    assert code == 0
    assert page_of().photos == []
    assert 'The paper, Table 2' in page_of().text
    assert PAPER_FOOTNOTE in page_of().text


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (['--run', 'cd.json'], 'is not NAME=METRICS.json'),
        (
            ['--run', 'X=missing.json'],
            'missing.json: cannot be read (No such file or directory); name a file that dscreid test --out wrote',
        ),
        (['--run', 'X={files}/config.py'], 'config.py: is not a file of metrics (no JSON)'),
        (['--run', 'X={files}/cd.json,{files}/cd.json'], 'cd.json is not a safetensors file'),
        (['--run', 'CD={files}/cd.json'], "two runs have the name 'CD'"),
        (['--bound', 'Y'], "'Y' is not the name of a run"),
        (['--scalars', 'nowhere.json'], 'nowhere.json cannot be read'),
        (['--config', 'nowhere.py'], 'nowhere.py: no such config'),
        (['--config', '{files}/config.py', '--protocol', 'mars'], 'unknown evaluation protocol'),
        (['nowhere'], 'nowhere is not a folder'),
        (['{files}/data'], 'data has no metrics.json'),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(run_tool, files, arguments, change, message):
    code, _, error = run_tool(*arguments, *(part.format(files=files) for part in change))
    assert code == 2
    assert message in error
    assert error.count('\n') == 1
    assert not (files / 'report.html').exists()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"rgb2ir/mAP": 36.5}', 'metrics are between 0 and 1'),
        ('{"rgb2ir/mAP": 0.365, "rgb2ir/Rank-1": 40.0}', 'rgb2ir/Rank-1 is 40.0'),
        ('{"x": 1}', 'has no metric'),
        ('[1]', 'is not a file of metrics'),
    ],
)
def test_bad_metrics(run_tool, files, arguments, content, message):
    (files / 'bad.json').write_text(content)
    code, _, error = run_tool(*arguments, '--run', f'X={files}/bad.json')
    assert code == 2
    assert message in error


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_features_that_are_not_finite_are_one_sentence(run_tool, files, arguments, features, value):
    table = features()
    table.feature[3, 5] = value
    save_features(files / 'dsc.safetensors', table)
    code, _, error = run_tool(*arguments, '--config', f'{files}/config.py')
    assert code == 2
    assert f'{files}/dsc.safetensors: the features of 1 of 32 tracklets hold NaN or infinite values' in error
    assert error.count('\n') == 1


def test_scalars_that_are_not_finite_are_gaps(run_tool, files, arguments, page_of, drawing_of):
    values = ('1.0', 'NaN', '2.0', '-Infinity', '3.0')
    lines = (f'{{"loss": {value}, "iter": {at}}}' for at, value in enumerate(values, 1))
    (files / 'scalars.json').write_text('\n'.join(lines))
    code, *_ = run_tool(*arguments, '--scalars', f'{files}/scalars.json')
    assert code == 0
    assert '2 of 5 values are NaN or infinite' in page_of().text
    (chart,) = (image for image in page_of().find('img') if image['alt'].startswith('Total loss'))
    paths = re.findall(' d="([^"]+)"', drawing_of(chart['src']))
    assert paths
    assert not any({'nan', 'inf'} & set(path.lower().split()) for path in paths)


def test_a_config_without_protocol_or_dataset(run_tool, files, arguments):
    (files / 'config.py').write_text("test_dataloader = dict(dataset=dict(type='FakeTestSet'))\n")
    code, _, error = run_tool(*arguments, '--config', f'{files}/config.py')
    assert code == 2
    assert '--protocol' in error
    (files / 'config.py').write_text("test_evaluator = dict(type='ReIDMetric', protocol='hitsz_vcm')\n")
    code, _, error = run_tool(*arguments, '--config', f'{files}/config.py')
    assert code == 2
    assert 'no test_dataloader.dataset' in error


def test_features_of_another_test_set(run_tool, files, arguments, dataset):
    dataset.tracklets.reverse()
    code, _, error = run_tool(*arguments, '--config', f'{files}/config.py')
    assert code == 2
    assert 'another test set' in error


# ---- work directories ----
def test_a_work_directory_is_enough(run_tool, files, work_dir, page_of):
    code, out, _ = run_tool(work_dir('dsc'), '--out', files / 'report.html')
    assert code == 0
    page = page_of()
    assert [row[0] for row in page.rows if len(row) == 14] == ['dsc']
    assert len(page.photos) == 2 * 4 * (1 + 6)
    (clusters,) = (chart for chart in page.charts if chart.startswith('Clusters'))
    assert clusters == 'Clusters by epoch: visible from 3 to 12'  # of both sessions
    assert ['dsc: training, last of its sessions', '3.1 min'] in page.rows
    assert 'Config differences' not in page.texts
    assert f'wrote {files}/report.html' in out


def test_several_runs_share_charts_and_their_config_differences_are_listed(run_tool, files, work_dir, page_of):
    first, second = work_dir('cd', lr=0.1), work_dir('other/cd', lr=0.2, base=0.4)
    code, *_ = run_tool(first, f'DSC={second}', '--out', files / 'report.html')
    assert code == 0
    page = page_of()
    assert 'Total loss by iteration: cd from 0.1 to 0.025; DSC from 0.2 to 0.05' in page.charts
    start = page.rows.index(['Setting', 'cd', 'DSC'])
    assert page.rows[start + 1] == ['optim_wrapper.optimizer.lr', '0.1', '0.2']
    assert 'work_dir' not in page.texts
    assert ['DSC', '40.5+10.0'] in [row[:2] for row in page.rows]


def test_folders_of_one_name_are_called_by_their_paths(run_tool, files, work_dir, page_of):
    first, second = work_dir('a/cd'), work_dir('b/cd')
    assert run_tool(first, second, '--out', files / 'report.html')[0] == 0
    assert [row[0] for row in page_of().rows if len(row) == 14] == [str(first), str(second)]
    assert run_tool(f'x={first}', f'x={second}', '--out', files / 'other.html')[0] == 2


def test_a_run_without_evaluation_has_curves_and_a_sentence(run_tool, files, work_dir, page_of, features):
    folder = work_dir('mine')
    (folder / 'metrics.json').write_text('{"evaluated": false, "reason": "the target has no identities."}')
    table = features()
    table.pid[:] = -1
    save_features(folder / 'features.safetensors', table)
    code, out, error = run_tool(folder, '--out', files / 'report.html')
    assert (code, error) == (0, '')
    page = page_of()
    assert 'mine was not evaluated: the target has no identities.' in page.texts
    assert any(chart.startswith('Clusters') for chart in page.charts)
    assert {'Retrieval lists', 'Distances'}.isdisjoint(page.texts)
    assert 'not evaluated: the target has no identities' in out


def test_an_interrupted_run_has_curves(run_tool, files, work_dir, page_of):
    folder = work_dir('killed')
    for name in ('metrics.json', 'features.safetensors', 'finished.json'):
        (folder / name).unlink()
    assert run_tool(folder, '--out', files / 'report.html')[0] == 0
    assert 'has no metrics.json' in page_of().text
    assert 'Wall times' not in page_of().texts


def test_missing_pictures_leave_out_the_lists_with_a_sentence(run_tool, files, work_dir, page_of, dataset):
    folder = work_dir('moved')
    dataset.tracklets.reverse()
    code, out, _ = run_tool(folder, '--out', files / 'report.html')
    assert code == 0
    assert page_of().photos == []
    for text in (page_of().text, out):
        assert 'There are no retrieval lists: the features of "moved" belong to another test set' in text


def test_a_missing_frame_leaves_out_lists_that_were_not_asked_for(run_tool, files, work_dir, page_of, dataset):
    folder = work_dir('copied')
    for frame in dataset.root.glob('*_1.png'):
        frame.unlink()
    code, out, _ = run_tool(folder, '--out', files / 'report.html')
    assert code == 0
    assert 'There are no retrieval lists: ' in out
    assert page_of().photos == []
    config = WorkDir(folder, 'x').config
    code, _, error = run_tool(folder, '--config', config, '--out', files / 'asked.html')
    assert code == 2
    assert error.count('\n') == 1


def test_damaged_files_of_a_work_directory_are_one_sentence(run_tool, files, work_dir):
    for name, content in (('finished.json', '{'), ('metrics.json', '[]'), ('features.safetensors', 'x')):
        folder = work_dir(f'damaged_{name}')
        (folder / name).write_text(content)
        code, _, error = run_tool(folder, '--out', files / 'report.html')
        assert code == 2
        assert f'{folder}/{name}' in error
        assert error.count('\n') == 1
    first, second = work_dir('sound'), work_dir('broken')
    WorkDir(second, 'x').config.write_text('1 / 0')
    code, _, error = run_tool(first, second, '--out', files / 'report.html')
    assert code == 2
    assert 'config.py: cannot be read as a config: division by zero' in error


def test_runs_of_this_package_are_understood(run_tool, files, tiny_experiment, page_of):
    dirs = tiny_experiment.work_dir, tiny_experiment.source_dir
    assert run_tool(*dirs, '--out', files / 'report.html')[0] == 0
    page = page_of()
    assert any('dsc from' in chart and 'tiny_source from' in chart for chart in page.charts)
    assert 'model.type' in {row[0] for row in page.rows}
    assert page.photos
    assert 'Feature maps of dsc, before training and dsc' in [image['alt'] for image in page.find('img')]
    assert any(image['alt'].startswith('Attention maps: visible, person') for image in page.find('img'))
    assert 'tiny_source was not evaluated' in page.text


# ---- feature map and attention ----
def test_the_first_and_the_last_run_are_mapped(run_tool, files, work_dir, page_of):
    dirs = [work_dir(name, base=base) for name, base in (('a', 0.2), ('b', 0.3), ('c', 0.4))]
    assert run_tool(*dirs, '--bound', 'b', '--out', files / 'report.html')[0] == 0
    assert 'Feature maps of a and c' in [image['alt'] for image in page_of().find('img')]
    assert 'Features of 32 test tracklets' in page_of().text
    assert run_tool(dirs[2], '--out', files / 'one.html')[0] == 0
    assert 'Feature maps of c' in [image['alt'] for image in page_of('one.html').find('img')]
    assert 'before adaptation are missing because the run has no' in page_of('one.html').text
    (dirs[2] / 'epoch_0.pth').write_bytes(b'')
    assert run_tool(dirs[2], '--out', files / 'one.html')[0] == 0
    assert 'The features before adaptation are missing: ' in page_of('one.html').text


def test_pictures_that_cannot_be_drawn_are_a_sentence(run_tool, files, work_dir, page_of):
    folder = work_dir('mine')
    (folder / 'features.safetensors').unlink()
    for config, reason in (
        (CONFIG.format(lr=0.1), 'no work directory has the checkpoint of a finished training.'),
        ("test_evaluator = dict(type='ReIDMetric', protocol='hitsz_vcm')", 'model is missing'),
    ):
        WorkDir(folder, 'x').config.write_text(config)
        assert run_tool(folder, '--out', files / 'report.html')[0] == 0
        text = page_of().text
        assert 'There is no feature map: no run has features; write them with' in text
        assert 'There is no picture of the attention of the prompts:' in text
        assert reason in text
        (folder / 'epoch_4.pth').write_bytes(b'')


def test_features_of_two_test_sets_are_a_sentence(run_tool, files, arguments, page_of, features):
    table = features(1)
    table.pid[:] += 1
    save_features(files / 'dsc.safetensors', table)
    assert run_tool(*arguments)[0] == 0
    assert 'There is no feature map: the features of "DSC" and "CD" are of different test sets' in page_of().text


def test_pictures_can_be_left_out(run_tool, files, work_dir, page_of):
    folder = work_dir('mine')
    options = ('--no-feature-map', '--no-prompt-attention')
    assert run_tool(folder, *options, '--out', files / 'report.html')[0] == 0
    assert {'Feature map', 'Prompt attention'}.isdisjoint(page_of().texts)
    assert run_tool(folder, '--out', files / 'report.html')[0] == 0
    assert {'Feature map', 'Prompt attention'} <= set(page_of().texts)


# ---- where it is written ----
def test_out_may_be_a_folder_or_lie_in_one_that_is_missing(run_tool, files, arguments, page_of):
    (files / 'reports').mkdir()
    assert run_tool(*arguments, '--out', files / 'reports')[0] == 0
    assert run_tool(*arguments, '--out', files / 'new' / 'deep' / 'mine.html')[0] == 0
    for name in ('reports/report.html', 'new/deep/mine.html'):
        assert 'CD' in page_of(name).texts


def test_out_that_cannot_be_written_is_one_sentence(run_tool, files, arguments):
    for out in (files / 'cd.json' / 'report.html', files / ('x' * 300)):
        code, _, error = run_tool(*arguments, '--out', out)
        assert code == 2
        assert str(files) in error
        assert error.count('\n') == 1


@pytest.mark.parametrize('option', [['--queries', '0'], ['--seed', '-1'], ['--paper', 'mars']])
def test_options_out_of_range(run_tool, arguments, option):
    assert run_tool(*arguments, *option)[0] == 2


def test_nothing_to_report_is_a_usage_message(run_tool):
    code, _, error = run_tool()
    assert code == 2
    assert 'name at least one WORK_DIR' in error


def test_help_shows_an_example(run_tool):
    code, out, _ = run_tool('--help')
    assert code == 0
    assert 'examples:' in out
