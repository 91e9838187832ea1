"""A whole run as a process: its console can be read, its log files leave nothing out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
#: Two stages of two epochs of three logged iterations, and three evaluations; MMEngine's own output is about 1,200.
MOST_LINES = 90


@pytest.mark.slow
def test_a_tiny_run_prints_what_a_person_reads(tiny_runs, tmp_path):
    finished = subprocess.run(
        [sys.executable, 'tools/train.py', tiny_runs.adapt, '--work-dir', tmp_path / 'dsc'],
        cwd=REPOSITORY,
        env=os.environ | {'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = finished.stdout.splitlines()
    assert len(lines) <= MOST_LINES, finished.stdout
    console = finished.stdout
    assert console.count('Epoch(train)') == 2 * 2 * 3
    for kept in (
        'source stage: tiny_source.py',
        'HITSZVCM train',
        'pseudo labels: rgb',
        'rgb2ir/mAP',
        'log file: ',
    ):
        assert kept in console
    assert console.count('HITSZVCM train') == 1
    # stage by stage, then the evaluation
    logs = [*tmp_path.glob('tiny_source/*/*.log'), *tmp_path.glob('dsc/*/*.log')]
    assert len(logs) == 3
    for log in logs:
        text = log.read_text()
        assert str(log) in console
        assert all(part in text for part in ('System environment:', 'Config:\n', 'Hooks will be executed'))
        assert not any(part in console for part in ('System environment:', 'Config:', 'Hooks will be executed'))
