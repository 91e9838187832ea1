"""LLCM on two dozen pictures."""

import shutil

import pytest
from hand_made_pictures import write_llcm, write_pictures, write_text

from dscreid.datasets import LLCM
from dscreid.datasets.llcm import camera_in
from dscreid.errors import DatasetError
from dscreid.evaluation.feasibility import plan_evaluation
from dscreid.structures import Modality


def test_training_pictures_are_listed(tmp_path):
    dataset = LLCM(write_llcm(tmp_path), 'train')
    assert [(t.frames[0], t.pid, t.camera, t.modality.value) for t in dataset.tracklets] == [
        ('vis/0001/0001_c01_s1_f1_vis.jpg', 0, 1, 'rgb'), ('nir/0001/0001_c02_s1_f1_nir.jpg', 0, 2, 'ir'),
        ('vis/0007/0007_c09_s1_f1_vis.jpg', 1, 9, 'rgb'),
    ]  # fmt: skip
    assert dataset.wheres[-1] == f'{tmp_path}/idx/train_vis.txt:2'


def test_test_pictures_lie_in_folders(tmp_path):
    dataset = LLCM(write_llcm(tmp_path), 'test')
    assert len(dataset) == 19
    assert {t.pid for t in dataset.tracklets} == {4, 10}
    assert sum(t.modality is Modality.IR for t in dataset.tracklets) == 9
    assert dataset.tracklets[0].frames == ('test_nir/cam1/0004/a.jpg',)
    # person 10 has one picture in each modality, under different cameras
    plan = plan_evaluation(dataset, 'llcm_vis2nir')
    assert plan.directions['rgb2ir'] == (10, 10, 9)
    assert plan_evaluation(dataset, 'llcm_nir2vis').directions['ir2rgb'] == (9, 9, 10)


def test_a_missing_camera_folder(tmp_path):
    shutil.rmtree(write_llcm(tmp_path) / 'test_nir/cam8')
    with pytest.raises(DatasetError, match=r'test_nir/cam8: the folder of this camera is missing'):
        LLCM(tmp_path, 'test')


@pytest.mark.parametrize(
    ('frame', 'camera'),
    [
        ('vis/0351/0351_c06_s200656_f4830_nir.jpg', 6), ('train_vis/cam3/0001/a.jpg', 3), ('cam9/1.jpg', 9),
        ('vis/0001/a.jpg', 0), ('vis/0001/a_c1.jpg', 1), ('vis/webcam3/a.jpg', 0),
    ],
)  # fmt: skip
def test_the_camera_of_a_training_picture(frame, camera):
    assert camera_in(frame) == camera


def test_unknown_cameras_are_a_warning(tmp_path, logged):
    write_llcm(tmp_path)
    write_pictures(tmp_path, ['vis/0001/a.jpg'])
    write_text(tmp_path, {'idx/train_vis.txt': 'vis/0001/a.jpg 0\n'})
    dataset = LLCM(tmp_path, 'train')
    assert dataset.cameras.tolist() == [0, 2]
    assert "the names of 1 pictures of split 'train' tell no camera, such as vis/0001/a.jpg" in ''.join(logged)
