"""tools/analysis/matching_study.py: its options."""

import pytest

from dscreid.lab import density_study, matching_study


def test_the_table_is_printed_and_written(load_tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(density_study, 'read_target', lambda place, *_: place.name)
    monkeypatch.setattr(matching_study, 'matching_markdown', lambda targets, topk: f'{targets} {topk}\n')
    tool, out = load_tool('analysis/matching_study.py'), tmp_path / 'matching.md'
    tool.main(['worlds/d3', '--checkpoint', 'source.pth', '--topk', '5', '--out', str(out)])
    assert capsys.readouterr().out == out.read_text() == "{'d3': 'd3'} 5\n"


def test_k_is_checked_before_features_are_extracted(load_tool, capsys):
    with pytest.raises(SystemExit):
        load_tool('analysis/matching_study.py').main(['worlds/d3', '--checkpoint', 'source.pth', '--topk', '0'])
    assert 'must be at least 1, got 0' in capsys.readouterr().err
