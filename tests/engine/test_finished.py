"""Finished and unfinished runs, by the files in their folder."""

import json

import pytest

from dscreid.engine.finished import run_is_finished, trained_checkpoint
from dscreid.errors import CheckpointError


@pytest.fixture
def evaluated(tmp_path):
    """A folder with metrics and features."""
    for name in ('metrics.json', 'features.safetensors'):
        (tmp_path / name).touch()
    return tmp_path


def record(folder, content):
    (folder / 'finished.json').write_text(json.dumps(content))


def test_a_run_is_finished_if_its_last_checkpoint_was_evaluated(evaluated):
    (evaluated / 'last_checkpoint').write_text('epoch_2.pth')
    assert not run_is_finished(evaluated)
    record(evaluated, {'checkpoint': '/elsewhere/epoch_2.pth'})
    assert not run_is_finished(evaluated)
    assert trained_checkpoint(evaluated) is None
    (evaluated / 'epoch_2.pth').touch()
    assert run_is_finished(evaluated)
    assert trained_checkpoint(evaluated) == evaluated / 'epoch_2.pth'
    (evaluated / 'metrics.json').unlink()
    assert not run_is_finished(evaluated)


def test_a_run_without_training_is_finished_with_its_metrics(evaluated):
    assert run_is_finished(evaluated)
    assert not run_is_finished(evaluated / 'missing')


@pytest.mark.parametrize('content', [[], {}, {'checkpoint': 3}, {'checkpoint': '..'}])
def test_a_damaged_record_is_reported(evaluated, content):
    record(evaluated, content)
    with pytest.raises(CheckpointError, match=r'finished\.json: is n'):
        run_is_finished(evaluated)
