import importlib.util
import json
from pathlib import Path

import pytest

from dscreid.evaluation import save_features

TOOL = Path(__file__).parents[2] / 'tools' / 'report.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('report_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def files(tmp_path, metrics, features, dataset, monkeypatch):
    for name, base, noise in (('cd', 0.3, 1.5), ('dsc', 0.4, 0.5)):
        (tmp_path / f'{name}.json').write_text(json.dumps(metrics(base)))
        save_features(tmp_path / f'{name}.safetensors', features(1, noise))
    (tmp_path / 'scalars.json').write_text('{"loss": 1.0, "iter": 1}\n')
    (tmp_path / 'config.py').write_text(
        "test_dataloader = dict(dataset=dict(type='Fake'))\ntest_evaluator = dict(protocol='hitsz_vcm')\n"
    )
    monkeypatch.setattr('dscreid.visualization.sources.DATASETS.build', lambda settings: dataset)
    return tmp_path


@pytest.fixture
def arguments(files):
    return [
        *('--run', f'CD={files}/cd.json,{files}/cd.safetensors'),
        *('--run', f'DSC={files}/dsc.json,{files}/dsc.safetensors'),
        *('--out', f'{files}/report.html'),
    ]


def test_a_whole_report(tool, files, arguments, parse, capsys):
    options = [
        '--config',
        f'{files}/config.py',
        '--scalars',
        f'Adaptation={files}/scalars.json',
        '--note',
        'Data.',
    ]
    assert tool.main(arguments + options) == 0
    page = parse((files / 'report.html').read_text(encoding='utf-8'))
    assert len(page.find('img')) == 2 * 4 * (1 + 2 * 6)
    assert 'Total loss' in page.texts
    assert '+10.0' in capsys.readouterr().out


def test_without_config_there_are_no_pictures(tool, files, arguments, parse):
    arguments[1] = f'CD={files}/cd.json'
    assert tool.main([*arguments, '--bound', 'DSC', '--paper', 'hitsz_vcm']) == 0
    page = parse((files / 'report.html').read_text(encoding='utf-8'))
    assert page.find('img') == []
    assert 'The paper, Table 2' in page.text


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (['--run', 'cd.json'], 'is not NAME=METRICS.json'),
        (['--run', 'X=missing.json'], 'missing.json is missing'),
        (['--run', 'X={files}/config.py'], 'config.py is no JSON file'),
        (['--run', 'X={files}/cd.json,{files}/cd.json'], 'cd.json is not a safetensors file'),
        (['--bound', 'Y'], "'Y' names none of the runs"),
        (['--scalars', 'nowhere.json'], 'nowhere.json cannot be read'),
        (['--config', 'nowhere.py'], 'nowhere.py: no such config file'),
        (['--config', '{files}/config.py', '--protocol', 'mars'], 'unknown evaluation protocol'),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(tool, files, arguments, capsys, change, message):
    assert tool.main([*arguments, *(part.format(files=files) for part in change)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1
    assert not (files / 'report.html').exists()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"rgb2ir/mAP": 36.5}', 'metrics lie in [0, 1]'),
        ('{"x": 1}', 'holds no metric'),
        ('[1]', 'no metric'),
    ],
)
def test_bad_metrics(tool, files, arguments, capsys, content, message):
    (files / 'bad.json').write_text(content)
    assert tool.main([*arguments, '--run', f'X={files}/bad.json']) == 2
    assert message in capsys.readouterr().err


def test_a_config_without_protocol_or_dataset(tool, files, arguments, capsys):
    (files / 'config.py').write_text("test_dataloader = dict(dataset=dict(type='Fake'))\n")
    assert tool.main([*arguments, '--config', f'{files}/config.py']) == 2
    assert '--protocol' in capsys.readouterr().err
    (files / 'config.py').write_text("test_evaluator = [dict(type='ReIDMetric', protocol='hitsz_vcm')]\n")
    assert tool.main([*arguments, '--config', f'{files}/config.py']) == 2
    assert 'no test_dataloader.dataset' in capsys.readouterr().err


def test_a_dataset_that_cannot_be_built(tool, files, arguments, capsys, monkeypatch):
    def fail(settings):
        raise KeyError(f'{settings["type"]} is not in the registry')

    monkeypatch.setattr('dscreid.visualization.sources.DATASETS.build', fail)
    assert tool.main([*arguments, '--config', f'{files}/config.py']) == 2
    assert 'cannot be built (Fake is not in the registry)' in capsys.readouterr().err


def test_features_of_another_test_set(tool, files, arguments, dataset, capsys):
    dataset.tracklets.reverse()
    assert tool.main([*arguments, '--config', f'{files}/config.py']) == 2
    assert 'another test set' in capsys.readouterr().err


@pytest.mark.parametrize('option', [['--queries', '0'], ['--seed', '-1'], ['--paper', 'mars']])
def test_options_out_of_range(tool, arguments, option):
    with pytest.raises(SystemExit) as stop:
        tool.main(arguments + option)
    assert stop.value.code == 2


def test_help_shows_an_example(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['--help'])
    assert 'example:' in capsys.readouterr().out
