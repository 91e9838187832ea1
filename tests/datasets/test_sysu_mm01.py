"""SYSU-MM01 on a dozen pictures."""

import shutil

import pytest
from hand_made_pictures import SYSU_PICTURES, write_sysu, write_text

from dscreid.datasets import SYSUMM01
from dscreid.errors import DatasetError, MissingFileError
from dscreid.evaluation.feasibility import plan_evaluation
from dscreid.structures import Modality


@pytest.fixture
def root(tmp_path):
    return write_sysu(tmp_path)


def test_training_and_validation_persons_are_one_split(root):
    dataset = SYSUMM01(root, 'train')
    assert [t.pid for t in dataset.tracklets] == [1, 1, 2, 2, 3, 3]
    assert dataset.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert dataset.wheres[0] == f'{root}/exp/train_id.txt:1'
    assert dataset.wheres[-1] == f'{root}/exp/val_id.txt:1'


def test_the_test_split_is_ordered_by_person_camera_and_name(root):
    dataset = SYSUMM01(root, 'test')
    assert [t.frames[0] for t in dataset.tracklets] == [
        'cam1/0004/0001.jpg', 'cam1/0004/0002.jpg', 'cam2/0004/0001.jpg', 'cam3/0004/0001.jpg', 'cam6/0004/0001.jpg',
        'cam1/0010/0001.jpg', 'cam6/0010/0003.jpg',
    ]  # fmt: skip
    assert dataset.cameras.tolist() == [1, 1, 2, 3, 6, 1, 6]
    infrared = [t.modality is Modality.IR for t in dataset.tracklets]
    assert infrared == [False, False, False, True, True, False, True]
    assert [t.is_query for t in dataset.tracklets] == infrared


def test_an_evaluation_is_planned_from_the_index(root):
    dataset = SYSUMM01(root, 'test')
    # 3 queries; one of two pictures of person 4 under camera 1, and the pictures of 4 (camera 2) and 10 (camera 1)
    plan = plan_evaluation(dataset, 'sysu_mm01_all_single')
    assert plan.directions['ir2rgb'] == (3, 3, 3)
    assert len(plan.unranked) == plan.own_gallery == 0


def test_all_pictures_are_in_one_split(root):
    frames = {t.frames[0] for split in ('train', 'test') for t in SYSUMM01(root, split).tracklets}
    assert frames == set(SYSU_PICTURES)


def test_a_missing_camera_folder(root):
    shutil.rmtree(root / 'cam5')
    with pytest.raises(DatasetError, match=rf'^{root}/cam5: the folder of this camera is missing; unpack'):
        SYSUMM01(root, 'test')


def test_persons_without_pictures(root):
    write_text(root, {'exp/test_id.txt': '4,10,11\n'})
    with pytest.raises(
        DatasetError, match=r'exp/test_id.txt:1: person 11 has no picture in cam1, cam2, .*cam6; unpack'
    ):
        SYSUMM01(root, 'test')


def test_a_trailing_comma(root):
    write_text(root, {'exp/test_id.txt': '4,10,\n'})
    with pytest.raises(DatasetError, match=r"exp/test_id.txt:1: entry 3, '', is no person id; remove the comma"):
        SYSUMM01(root, 'test')


def test_a_person_of_two_lists(root):
    write_text(root, {'exp/val_id.txt': '3,2\n'})
    with pytest.raises(DatasetError, match=r'exp/val_id.txt:1: person 2 is also in .*exp/train_id.txt; restore'):
        SYSUMM01(root, 'train')


def test_a_missing_list(root):
    (root / 'exp/test_id.txt').unlink()
    with pytest.raises(MissingFileError, match=r'exp/test_id.txt: the index file is missing'):
        SYSUMM01(root, 'test')
    assert len(SYSUMM01(root, 'train')) == 6
