"""Draws of the image protocols as published, and the tasks they make of a test set."""

import numpy as np
import pytest
from oracles.image_protocol_oracle import drawn_names

from dscreid.errors import DatasetError
from dscreid.evaluation import draw_galleries, protocol_directions

SIZES = (7, 1, 12, 3, 20, 30)
#: ``random.seed(trial)``, then ``random.choice`` among 7, 1, 12, 3, 20 and 30 pictures, noted from CPython.
PUBLISHED = [
    [6, 0, 6, 0, 8, 16], [1, 0, 4, 0, 15, 24], [6, 0, 1, 0, 11, 26], [1, 0, 5, 2, 15, 20], [1, 0, 1, 2, 12, 15],
    [4, 0, 11, 1, 16, 0], [6, 0, 7, 1, 1, 0], [2, 0, 6, 2, 1, 2], [1, 0, 6, 0, 6, 22], [3, 0, 4, 0, 5, 27],
]  # fmt: skip


def test_the_published_draw_of_trials_0_to_9():
    pids, cameras = np.repeat([1, 1, 2, 2, 2, 9], SIZES), np.repeat([1, 4, 1, 2, 5, 1], SIZES)
    galleries = draw_galleries(pids, cameras)
    starts = np.cumsum([0, *SIZES[:-1]])
    np.testing.assert_array_equal(np.stack(galleries) - starts, PUBLISHED)


@pytest.mark.parametrize('shots', [1, 10])
def test_the_draw_does_not_depend_on_the_order_of_persons_and_cameras(shots):
    rng = np.random.default_rng(0)
    sizes = {(pid, camera): rng.integers(1, 25) for pid in (3, 12, 40) for camera in (1, 2, 5)}
    names = [
        f'cam{camera}/{pid:04d}/{n:04d}.jpg' for n in range(1, 25) for pid, camera in rng.permutation(list(sizes))
        if n <= sizes[pid, camera]
    ]  # fmt: skip
    pids, cameras = np.array([(int(name[5:9]), int(name[3])) for name in names]).T
    for trial, rows in enumerate(draw_galleries(pids, cameras, shots)):
        assert [names[row] for row in rows] == drawn_names(names, {3, 12, 40}, ('cam1', 'cam2', 'cam5'), trial, shots)


def test_no_picture_and_few_pictures():
    assert [rows.tolist() for rows in draw_galleries(np.zeros(0, int), np.zeros(0, int), trials=2)] == [[], []]
    assert [rows.tolist() for rows in draw_galleries(np.array([4, 4]), np.array([1, 1]), 10, 2)] == [[0, 1], [0, 1]]


def _split(pids, cameras, infrared):
    modalities = ['ir' if camera in infrared else 'rgb' for camera in cameras]
    return modalities, [False] * len(pids), None, np.array(pids), np.array(cameras)


def test_sysu_mm01_searches_visible_cameras_from_infrared_ones():
    split = _split([1] * 6 + [2] * 6, [1, 2, 3, 4, 5, 6] * 2, infrared=(3, 6))
    (found,) = protocol_directions('sysu_mm01_all_single', *split).items()
    name, direction = found
    assert name == 'ir2rgb'
    assert direction.query.tolist() == [2, 5, 8, 11]
    assert direction.same_place == ((3, 2),)
    assert direction.count_persons
    assert not direction.drop_same_camera
    assert [trial.gallery.tolist() for trial in direction.trials()] == 10 * [[0, 1, 3, 4, 6, 7, 9, 10]]
    assert all(trial.trials() == [trial] for trial in direction.trials())
    indoor = protocol_directions('sysu_mm01_indoor_single', *split)['ir2rgb']
    assert [trial.gallery.tolist() for trial in indoor.trials()] == 10 * [[0, 1, 6, 7]]


@pytest.mark.parametrize(('name', 'direction'), [('llcm_vis2nir', 'rgb2ir'), ('llcm_nir2vis', 'ir2rgb')])
def test_llcm_leaves_out_the_query_s_person_and_camera(name, direction):
    modalities = ['rgb', 'rgb', 'ir', 'ir']
    found = protocol_directions(name, modalities, [True] * 4, None, np.array([1, 2, 1, 2]), np.array([1, 1, 2, 2]))
    assert list(found) == [direction]
    task = found[direction]
    assert (task.query.tolist(), task.gallery.tolist()) == {'rgb2ir': ([0, 1], [2, 3]), 'ir2rgb': ([2, 3], [0, 1])}[
        direction
    ]
    assert task.drop_same_camera
    assert task.count_persons
    assert len(task.draws) == 10


@pytest.mark.parametrize('name', ['llcm', 'regdb'])
def test_both_directions_at_once(name):
    facts = ['rgb', 'rgb', 'ir', 'ir'], [True] * 4, None, np.array([1, 2, 1, 2]), np.array([1, 1, 2, 2])
    both = protocol_directions(name, *facts)
    halves = {'llcm': ('vis2nir', 'nir2vis'), 'regdb': ('visible2thermal', 'thermal2visible')}[name]
    for direction, half in zip(('rgb2ir', 'ir2rgb'), halves, strict=True):
        (alone,) = protocol_directions(f'{name}_{half}', *facts).values()
        np.testing.assert_equal(both[direction], alone)


def test_regdb_searches_everything_once():
    modalities = ['rgb', 'ir', 'ir', 'rgb']
    found = protocol_directions('regdb_visible2thermal', modalities, [False] * 4)
    assert found['rgb2ir'].trials() == [found['rgb2ir']]
    assert [rows.tolist() for rows in found['rgb2ir'][:2]] == [[0, 3], [1, 2]]
    assert not found['rgb2ir'].count_persons
    back = protocol_directions('regdb_thermal2visible', modalities, [False] * 4)
    assert [rows.tolist() for rows in back['ir2rgb'][:2]] == [[1, 2], [0, 3]]


def test_a_gallery_that_cannot_be_drawn_is_refused():
    split = _split([1, 1, 2, 2], [4, 3, 5, 6], infrared=(3, 6))
    with pytest.raises(DatasetError, match='drawn from cameras 1, 2, but the test set has cameras 3, 4, 5, 6; choose'):
        protocol_directions('sysu_mm01_indoor_single', *split)
    with pytest.raises(DatasetError, match='drawn by person, but 1 of 4 pictures have no person id; use a labeled'):
        protocol_directions('sysu_mm01_all_single', *_split([1, -1, 2, 2], [4, 3, 5, 6], infrared=(3, 6)))
    with pytest.raises(DatasetError, match='finds no query tracklet for ir2rgb'):
        protocol_directions('sysu_mm01_all_single', *_split([1, 2], [1, 2], infrared=(3, 6)))
