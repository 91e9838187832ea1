"""tools/doctor.py: table, JSON and exit codes."""

import json

import pytest


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('doctor.py')


def test_table_json_and_exit_codes(tool, tiny_runs, tmp_path, capsys):
    words = [str(tiny_runs.adapt), '--skip-batches', '--jobs', '2', '--json', str(tmp_path / 'doctor.json')]
    assert tool.main(words) == 0
    printed = capsys.readouterr().out
    assert 'warnings: 0 broken, 1 warnings' in printed
    content = json.loads((tmp_path / 'doctor.json').read_text())
    assert content['verdict'] == 'warnings'
    frames = next(f for f in content['findings'] if f['check'] == 'frames')
    assert (frames['severity'], frames['values']['bad']) == ('ok', 0)
    assert tool.main([*words, '--strict']) == 1
    assert tool.main([*words, '--cfg-options', f'data_root={tmp_path / "gone"}']) == 2
    assert 'the folder does not exist' in capsys.readouterr().out


def test_wrong_arguments(tool, capsys):
    with pytest.raises(SystemExit) as stop:
        tool.parse_arguments(['a.py', '--jobs', '0'])
    assert stop.value.code == 2
    assert '0 is less than 1' in capsys.readouterr().err
