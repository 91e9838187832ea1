"""tools/analysis/density_study.py: its options, and one sentence for bad input."""

import numpy as np
import pytest
import torch

from dscreid.apis.command_line import run_command
from dscreid.lab import density_study
from dscreid.structures import Modality, TrackletFeatures


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/density_study.py')


def test_the_table_is_printed_and_written(tool, tmp_path, monkeypatch, capsys):
    generator = torch.Generator().manual_seed(0)
    halves = torch.randn(2, 10, 8, generator=generator).repeat_interleave(3, dim=1)
    part = density_study.LabeledFeatures(TrackletFeatures(*halves), np.repeat(np.arange(10), 3))
    seen = []

    def read_target(place, config, checkpoint):
        seen.append((place.name, config.name, checkpoint.name))
        return dict.fromkeys(Modality, part)

    study_markdown = density_study.study_markdown
    monkeypatch.setattr(density_study, 'read_target', read_target)
    monkeypatch.setattr(
        density_study,
        'study_markdown',
        lambda targets: study_markdown(targets, {'k1': (3,), 'k2': (1,), 'eps': (0.5,), 'min_samples': (2,)}),
    )
    out = tmp_path / 'tables' / 'density.md'
    tool.main(['worlds/d3', '--checkpoint', 'source.pth', '--out', str(out)])
    assert seen == [('d3', 'dsc_demo', 'source.pth')]
    assert capsys.readouterr().out == out.read_text()
    assert '| d3 | ir | 30, 10 | auto |' in out.read_text()


def test_targets_of_one_name_are_refused(tool, monkeypatch, capsys):
    monkeypatch.setattr(density_study, 'read_target', lambda *_: {})
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: tool.main(['a/train', 'b/train', '--checkpoint', 'source.pth']))
    assert stop.value.code == 2
    assert 'two targets are named train' in capsys.readouterr().err


def test_a_target_can_be_renamed(tool, monkeypatch, capsys):
    monkeypatch.setattr(density_study, 'read_target', lambda place, *_: place.as_posix())
    monkeypatch.setattr(density_study, 'study_markdown', str)
    tool.main(['a/train', 'other=b/train', '--checkpoint', 'source.pth'])
    assert capsys.readouterr().out == "{'train': 'a/train', 'other': 'b/train'}"
