"""RegDB on six pictures."""

import pytest
from hand_made_pictures import write_regdb

from dscreid.datasets import RegDB
from dscreid.errors import ConfigError, MissingFileError
from dscreid.structures import Modality


def test_a_trial_chooses_the_lists(tmp_path):
    write_regdb(tmp_path)
    assert [t.frames[0] for t in RegDB(tmp_path, 'test').tracklets] == ['Visible/1/v_1.bmp', 'Thermal/1/t_1.bmp']
    second = RegDB(tmp_path, 'test', trial=2)
    assert [t.frames[0] for t in second.tracklets] == ['Visible/2/v_2.bmp', 'Thermal/2/t_2.bmp']
    assert [t.frames[0] for t in RegDB(tmp_path, 'train', trial=2).tracklets] == [
        'Visible/1/v_1.bmp', 'Thermal/1/t_1.bmp', 'Visible/3/v_3.bmp', 'Thermal/3/t_3.bmp',
    ]  # fmt: skip


def test_persons_are_the_labels_and_cameras_the_sensors(tmp_path):
    dataset = RegDB(write_regdb(tmp_path), 'train', trial=2)
    assert [t.pid for t in dataset.tracklets] == [0, 0, 1, 1]
    assert dataset.cameras.tolist() == [1, 2, 1, 2]
    assert [t.modality for t in dataset.tracklets] == 2 * [Modality.RGB, Modality.IR]
    assert dataset.wheres[-1] == f'{tmp_path}/idx/train_thermal_2.txt:2'


@pytest.mark.parametrize('trial', [0, 11, 'a'])
def test_there_are_ten_trials(tmp_path, trial):
    with pytest.raises(ConfigError, match='trial must be a whole number from 1 to 10'):
        RegDB(write_regdb(tmp_path), 'test', trial=trial)


def test_a_trial_without_lists(tmp_path):
    with pytest.raises(MissingFileError, match=r'idx/test_visible_7.txt: the index file is missing'):
        RegDB(write_regdb(tmp_path), 'test', trial=7)
