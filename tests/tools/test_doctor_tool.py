"""tools/doctor.py: table, JSON and exit codes."""

import json

import pytest

from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor import Diagnosis


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('doctor.py')


def test_table_json_and_exit_codes(tool, tiny_runs, tmp_path, capsys):
    words = [str(tiny_runs.adapt), '--skip-batches', '--jobs', '2', '--json', str(tmp_path / 'doctor.json')]
    assert tool.main(words) == 0
    printed = capsys.readouterr().out
    assert 'warnings: 0 broken, 1 warnings' in printed
    content = json.loads((tmp_path / 'doctor.json').read_text())
    assert (content['verdict'], content['complete']) == ('warnings', True)
    frames = next(f for f in content['findings'] if f['check'] == 'frames')
    assert frames['severity'] == 'ok'
    assert tool.main([*words, '--strict']) == 1
    assert tool.main([*words, '--cfg-options', f'data_root={tmp_path / "gone"}']) == 2
    assert 'the folder does not exist' in capsys.readouterr().out


def test_wrong_arguments(tool, capsys):
    with pytest.raises(SystemExit) as stop:
        tool.parse_arguments(['a.py', '--jobs', '0'])
    assert stop.value.code == 2
    assert 'must be at least 1, got 0' in capsys.readouterr().err


def test_nothing_is_lost_if_the_process_dies(tool, tmp_path, monkeypatch, capsys):
    """A finding is printed and written before the next check starts."""

    def dying(config, options, on_finding):
        for number in (1, 2):
            found = tuple(Finding('frames', str(n), Severity.BROKEN, 'x') for n in range(number))
            on_finding(Diagnosis('c.py', found, complete=False))
        raise MemoryError

    monkeypatch.setattr('dscreid.lab.doctor.diagnosis.diagnose', dying)
    path = tmp_path / 'doctor.json'
    with pytest.raises(MemoryError):
        tool.main(['c.py', '--json', str(path)])
    content = json.loads(path.read_text())
    assert (content['complete'], content['verdict'], len(content['findings'])) == (False, 'broken', 2)
    assert capsys.readouterr().out == 'broken  frames, 0: x\nbroken  frames, 1: x\n'
    assert list(tmp_path.iterdir()) == [path]
