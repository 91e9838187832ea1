"""tools/analysis/selection_study.py: its options, and one sentence for bad input."""

import pytest

from dscreid.apis.command_line import run_command
from dscreid.lab import selection_study
from dscreid.lab.selection_study import JudgedRun


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/selection_study.py')


def test_tables_are_printed_and_written(tool, tmp_path, monkeypatch, capsys):
    seen = []

    def read_run(path, metric):
        seen.append((path.name, metric))
        return JudgedRun(path.name, {1: dict(silhouette=0.1), 2: dict(silhouette=0.2)}, {1: 0.4, 2: 0.5})

    monkeypatch.setattr(selection_study, 'read_run', read_run)
    out = tmp_path / 'tables' / 'study.md'
    tool.main(['a', 'b', '--metric', 'mean/mINP', '--out', str(out)])
    assert seen == [('a', 'mean/mINP'), ('b', 'mean/mINP')]
    text = out.read_text()
    assert capsys.readouterr().out == text
    assert '| silhouette | 2, 2 | 50.0 ± 0.0 |' in text
    assert 'mean/mINP' in text


def test_a_folder_without_criteria(tool, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: tool.main([str(tmp_path)]))
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f'error: {tmp_path}/criteria.json is missing')
