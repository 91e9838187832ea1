"""The owners' gallery draws of SYSU-MM01, from files made here with scipy."""

import random

import numpy as np
import pytest
import scipy.io
from hand_made_pictures import write_sysu

from dscreid.datasets import SYSUMM01
from dscreid.errors import ConfigError, DatasetError
from dscreid.evaluation import evaluate_image_protocol
from dscreid.evaluation.feasibility import plan_evaluation
from dscreid.evaluation.permutation_file import read_permutations
from dscreid.evaluation.protocols import find_protocol, protocol_directions

#: Pictures of each person (from 1) under each camera (from 1); person 2 is not under camera 2.
COUNTS = [[3, 1, 4], [2, 0, 12], [5, 5, 5], [2, 2, 2], [0, 0, 3], [1, 1, 1]]


def cell(parts, shape):
    made = np.empty(len(parts), dtype=object)
    for place, part in enumerate(parts):
        made[place] = part
    return made.reshape(shape)


def permutations(counts, trials=10, seed=0):
    rng = np.random.default_rng(seed)
    return [[np.stack([1 + rng.permutation(n) for _ in range(trials)]) if n else np.zeros((0, 0)) for n in persons]
            for persons in counts]  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def write(content, nested=False, name='rand_perm_cam'):
        cameras = [cell([m.astype(np.uint8) for m in persons], (1, -1)) for persons in content]
        if nested:
            cameras = [cell([camera], (1, 1)) for camera in cameras]
        path = tmp_path / 'rand_perm_cam.mat'
        scipy.io.savemat(path, {name: cell(cameras, (-1, 1))})
        return path

    return write


@pytest.fixture
def pictures():
    """Persons and cameras of all pictures of COUNTS, ordered by person and camera, as arrays."""
    rows = [(pid, camera) for pid in (1, 2, 3) for camera in range(1, 7) for _ in range(COUNTS[camera - 1][pid - 1])]
    return tuple(np.array(side) for side in zip(*rows, strict=True))


@pytest.mark.parametrize('nested', [False, True])
def test_the_file_is_read(write, nested):
    content = permutations(COUNTS)
    found = read_permutations(write(content, nested))
    assert (2, 2) not in found
    assert len(found) == sum(n > 0 for persons in COUNTS for n in persons)
    for (camera, person), rows in found.items():
        assert (rows + 1 == content[camera - 1][person - 1]).all()


@pytest.mark.parametrize(('protocol', 'shots', 'cameras'), [
    ('sysu_mm01_all_single', 1, (1, 2, 4, 5)),
    ('sysu_mm01_all_multi', 10, (1, 2, 4, 5)),
    ('sysu_mm01_indoor_single', 1, (1, 2)),
    ('sysu_mm01_indoor_multi', 10, (1, 2)),
])  # fmt: skip
def test_galleries_are_the_first_pictures_of_each_order(write, pictures, protocol, shots, cameras):
    content = permutations(COUNTS)
    pids, cams = pictures
    modalities = ['ir' if camera in (3, 6) else 'rgb' for camera in cams]
    name = f'{protocol}:{write(content)}'
    direction = protocol_directions(name, modalities, np.zeros(len(pids)), pids=pids, cameras=cams)['ir2rgb']
    for trial, draw in enumerate(direction.draws):
        expected = []
        for pid in (1, 2, 3):
            for camera in cameras:
                first = int(((pids < pid) | ((pids == pid) & (cams < camera))).sum())
                order = content[camera - 1][pid - 1]
                expected += [first + number - 1 for number in (order[trial][:shots] if len(order) else [])]
        assert sorted(draw.tolist()) == sorted(expected)
        assert (np.diff(draw) > 0).all()
    assert len(direction.draws) == 10


def test_the_default_draw_does_not_change(pictures):
    pids, cams = pictures
    modalities = ['ir' if camera in (3, 6) else 'rgb' for camera in cams]
    direction = protocol_directions('sysu_mm01_all_single', modalities, np.zeros(len(pids)), pids=pids, cameras=cams)
    random.seed(4)
    expected = [random.choice(np.flatnonzero((pids == pid) & (cams == camera)).tolist())
                for pid in (1, 2, 3) for camera in (1, 2, 4, 5) if COUNTS[camera - 1][pid - 1]]  # fmt: skip
    assert direction['ir2rgb'].draws[4].tolist() == expected


def test_it_reaches_the_evaluation(write, tmp_path):
    root = write_sysu(tmp_path / 'data')
    counts = [[0] * 10 for _ in range(6)]
    for camera, person, number in ((1, 4, 2), (2, 4, 1), (1, 10, 1)):
        counts[camera - 1][person - 1] = number
    content = permutations(counts)
    content[0][3][:] = [2, 1]  # of two pictures, always the second one first
    dataset = SYSUMM01(root, 'test')
    name = f'sysu_mm01_all_single:{write(content)}'
    assert plan_evaluation(dataset, name).directions['ir2rgb'] == (3, 3, 3)
    names = [tracklet.frames[0] for tracklet in dataset.tracklets]
    # of person 4 under camera 1, only the second picture is nearer to the queries than that of person 10
    features = np.eye(4)[[3, 0, 1, 0, 0, 2, 2]]
    features[5] += [0.5, 0, 0, 0]
    pids, cameras = [t.pid for t in dataset.tracklets], dataset.cameras
    plain = evaluate_image_protocol('sysu_mm01_all_single', features, pids, cameras, names)
    drawn = evaluate_image_protocol(name, features, pids, cameras, names)
    assert drawn['Rank-1'] == 1
    assert drawn['Rank-1 std'] == 0 < plain['Rank-1 std']


@pytest.mark.parametrize(('change', 'fault'), [
    (lambda content: content[0].__setitem__(0, np.array([[1, 1, 2]] * 10)), 'camera 1, person 1: the rows are not per'),
    (lambda content: content[0].__setitem__(0, np.array([[1, 2, 4]] * 10)), 'camera 1, person 1: the rows are not per'),
])  # fmt: skip
def test_rows_that_are_not_permutations(write, change, fault):
    content = permutations(COUNTS)
    change(content)
    with pytest.raises(DatasetError, match=fault):
        read_permutations(write(content))


@pytest.mark.parametrize(('counts', 'trials', 'fault'), [
    ([[4, 1, 4], *COUNTS[1:]], 10, 'person 1 has 3 pictures under camera 1, but the file orders 4 in 10 trials'),
    ([[3, 0, 4], *COUNTS[1:]], 10, 'person 2 has 1 pictures under camera 1, but the file orders 0 in 0 trials'),
    (COUNTS, 9, r'person 1 has 3 pictures under camera 1, but the file orders 3 in 9 trials \(10 needed\)'),
])  # fmt: skip
def test_a_file_of_other_pictures(write, pictures, counts, trials, fault):
    pids, cams = pictures
    modalities = ['ir' if camera in (3, 6) else 'rgb' for camera in cams]
    name = f'sysu_mm01_all_single:{write(permutations(counts, trials))}'
    with pytest.raises(DatasetError, match=f'{fault}.*complete'):
        protocol_directions(name, modalities, np.zeros(len(pids)), pids=pids, cameras=cams)


def test_files_that_cannot_be_used(write, tmp_path):
    with pytest.raises(DatasetError, match=r'missing\.mat: no such permutation file; restore it from the dataset'):
        find_protocol(f'sysu_mm01_all_single:{tmp_path}/missing.mat')
    (tmp_path / 'text.mat').write_text('1,2,3')
    with pytest.raises(DatasetError, match=r'text\.mat: is not a permutation file of SYSU-MM01'):
        find_protocol(f'sysu_mm01_all_single:{tmp_path}/text.mat')
    with pytest.raises(DatasetError, match='it has no variable rand_perm_cam'):
        read_permutations(write(permutations(COUNTS), name='other'))
    with pytest.raises(ConfigError, match=r"RegDB takes no file, got 'x\.mat'"):
        find_protocol('regdb:x.mat')
