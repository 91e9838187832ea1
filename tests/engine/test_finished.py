"""The last checkpoint of finished and unfinished runs, by the files in their folder."""

import json

import pytest

from dscreid.engine.checkpoint_files import trained_checkpoint
from dscreid.errors import CheckpointError


def record(folder, content):
    (folder / 'finished.json').write_text(json.dumps(content))


def test_a_finished_training_names_its_last_checkpoint(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('epoch_2.pth')
    assert trained_checkpoint(tmp_path) is None
    record(tmp_path, {'checkpoint': '/elsewhere/epoch_2.pth'})
    assert trained_checkpoint(tmp_path) is None
    (tmp_path / 'epoch_2.pth').touch()
    assert trained_checkpoint(tmp_path) == tmp_path / 'epoch_2.pth'


@pytest.mark.parametrize('content', [[], {}, {'checkpoint': 3}, {'checkpoint': '..'}])
def test_a_damaged_record_is_reported(tmp_path, content):
    record(tmp_path, content)
    with pytest.raises(CheckpointError, match=r'finished\.json: is n'):
        trained_checkpoint(tmp_path)
