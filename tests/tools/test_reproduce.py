"""tools/reproduce.py: its commands, and one sentence with exit code 2 for errors that a user can fix."""

import pytest

from dscreid.apis.command_line import run_command
from dscreid.lab.reproduction import driver
from dscreid.lab.reproduction.jobs import JobStatus, Phase


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('reproduce.py')


@pytest.fixture
def refused(tool, capsys):
    """Function that runs the tool and returns its one sentence."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            run_command(lambda: tool.main([str(argument) for argument in arguments]))
        assert stop.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith('error: ')
        return lines[0]

    return run


@pytest.mark.parametrize('data', ['synthetic-demo', 'synthetic-full', 'real'])
def test_list_names_every_table_and_figure(tool, capsys, data):
    tool.main(['list', '--data', data])
    printed = capsys.readouterr().out
    names = [line.partition(':')[0] for line in printed.splitlines() if not line.startswith(' ')]
    assert names[:9] == [*(f'table{number}' for number in range(1, 7)), 'figure3', 'figure4', 'figure5']
    assert 'without_dslu' in printed


@pytest.mark.parametrize(('arguments', 'words'), [
    (['run', 'tabel3'], "did you mean 'table3'? (known are table1, table2"),
    (['show', 'table9'], 'known are table1'),
    (['run', 'table3', '--data', 'reel'], "did you mean 'real'?"),
    (['list', '--data', 'demo'], 'known are synthetic-demo, synthetic-rule, synthetic-few, synthetic-noisy'),
    (['run', 'table1', '--rows', 'pmg'], "did you mean 'pgm'?"),
    (['run', 'table1', '--slurm', 'gpu', 'gres'], "'gres' is not KEY=VALUE"),
])  # fmt: skip
def test_errors_that_a_user_can_fix_are_one_sentence(refused, arguments, words):
    assert words in refused(*arguments)


@pytest.mark.parametrize(('option', 'value', 'words'), [
    ('--seeds', '-1', 'argument --seeds: must be at least 0, got -1'),
    ('--jobs', '0', 'argument --jobs: must be at least 1, got 0'),
])  # fmt: skip
def test_numbers_out_of_range(tool, capsys, option, value, words):
    with pytest.raises(SystemExit) as stop:
        tool.main(['run', 'table1', option, value])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_a_table_that_was_never_run_says_how_to_run_it(refused, tmp_path):
    assert 'run table3 --data real' in refused('show', 'table3', '--data', 'real', '--out', tmp_path)


def test_real_data_that_are_missing_end_before_anything_starts(refused, tmp_path, monkeypatch):
    monkeypatch.setenv('DSCREID_HITSZ_VCM', str(tmp_path / 'absent'))
    monkeypatch.setenv('DSCREID_BUPT_CAMPUS', str(tmp_path / 'absent'))
    assert 'absent' in refused('run', 'table3', '--data', 'real', '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_failed_runs_give_exit_code_1(tool, monkeypatch, capsys, tmp_path):
    status = JobStatus(Phase.FAILED, 1.0, 'no memory')
    monkeypatch.setattr(driver, 'reproduce', lambda options: {'a': status})
    with pytest.raises(SystemExit) as stop:
        tool.main(['run', 'table3', '--out', str(tmp_path)])
    assert stop.value.code == 1
    assert capsys.readouterr().err == 'a: failed (1.0 s; no memory)\n'


def test_the_command_line_reaches_the_options(tool, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(driver, 'reproduce', lambda options: seen.append(options) or {})
    arguments = [
        'run',
        'table3',
        '--data',
        'real',
        '--seeds',
        '1',
        '2',
        '1',
        '--direction',
        'both',
        '--jobs',
        '3',
    ]
    tool.main([*arguments, '--amp', '--rows', 'cd', '--out', str(tmp_path), '--slurm', 'gpu', 'time=1:00:00'])
    (options,) = seen
    assert (options.seeds, options.directions, options.jobs, options.rows) == (
        (1, 2), ('bupt2hitsz', 'hitsz2bupt'), 3, ['cd'],
    )  # fmt: skip
    assert (options.place.preset.name, options.place.amp, options.place.out) == ('real', True, tmp_path)
    assert options.slurm == {'partition': 'gpu', 'time': '1:00:00'}
    assert not options.accept_revision
    assert not options.rerun_stale
    tool.main(['run', 'table2'])
    assert seen[1].directions == ('bupt2hitsz',)
