import shutil

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dscreid.datasets import HITSZVCM
from dscreid.deployment import TrackletInferencer, make_bundle, read_bundle
from dscreid.deployment.frames import FrameLoader
from dscreid.errors import ConfigError, DatasetError, TrainingError
from dscreid.evaluation import load_features

NOTES = dict(license='for tests only', training_data='rendered worlds')


@pytest.fixture(scope='module')
def inferencer(bundle):
    return TrackletInferencer(bundle.folder, batch_size=4)


@pytest.fixture(scope='module')
def test_set(tiny_runs):
    return HITSZVCM(tiny_runs.hitsz, 'test', expected_statistics=None)


def paths_of(dataset, row):
    return [dataset.root / frame for frame in dataset.tracklets[row].frames]


def arrays_of(dataset, row):
    return np.stack([cv2.imread(str(path))[..., ::-1] for path in paths_of(dataset, row)])


def test_features_are_those_of_the_evaluation(inferencer, test_set, tiny_experiment, one_thread):
    evaluated = load_features(tiny_experiment.work_dir / 'features.safetensors')
    found = inferencer(test_set)
    assert found.dtype == np.float32
    assert found.shape == (len(test_set), 64)
    np.testing.assert_allclose(found, evaluated.feature / np.sqrt(2), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(2 * found @ found.T, evaluated.feature @ evaluated.feature.T, atol=1e-5)


@pytest.mark.parametrize('kind', ['paths', 'arrays', 'folders'])
def test_all_kinds_of_input_give_the_same_features(inferencer, test_set, tmp_path, kind):
    rows = range(5)
    expected = inferencer(test_set)[:5]
    if kind == 'paths':
        items = [[str(path) for path in paths_of(test_set, row)] for row in rows]
    elif kind == 'arrays':
        items = [arrays_of(test_set, row) for row in rows]
    else:
        items = [tmp_path / str(row) for row in rows]
        for row, folder in zip(rows, items, strict=True):
            folder.mkdir()
            for number, path in enumerate(paths_of(test_set, row)):
                (folder / f'{number}.jpg').symlink_to(path)
    found = inferencer(items, progress=False)
    # a batch of another size sums in another order
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_fewer_more_and_larger_frames(inferencer, test_set):
    frames = arrays_of(test_set, 0)
    shape = FrameLoader(inferencer.bundle).shape
    assert len(frames) > shape[0]
    large = np.stack([cv2.resize(frame, (37, 81)) for frame in frames])
    found = inferencer([frames, frames[:1], large, frames[::-1]])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert len(np.unique(found.round(4), axis=0)) == 4


def test_a_list_of_frames_of_different_sizes(inferencer, test_set, tmp_path):
    frames = [
        cv2.resize(frame, size) for frame, size in zip(arrays_of(test_set, 0), [(37, 81), (16, 32)], strict=False)
    ]
    paths = [tmp_path / f'{number}.png' for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        cv2.imwrite(str(path), frame[..., ::-1])
    np.testing.assert_allclose(inferencer([frames]), inferencer([paths]), atol=2e-6)
    with pytest.raises(DatasetError, match='frames must be uint8'):
        inferencer([[frames[0][..., 0], frames[1]]])


def test_workers_change_nothing(inferencer, bundle, test_set):
    parallel = TrackletInferencer(bundle, batch_size=4, num_workers=2)
    np.testing.assert_array_equal(parallel(test_set), inferencer(test_set))


def test_a_flip_averages(tiny_runs, tiny_experiment, tmp_path, test_set, inferencer):
    flipped = make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, tmp_path / 'a', flip=True, **NOTES)
    frames = arrays_of(test_set, 0)
    mirrored = np.ascontiguousarray(frames[:, :, ::-1])
    both = TrackletInferencer(flipped)([frames, mirrored])
    np.testing.assert_allclose(both[0], both[1], atol=1e-5)
    plain = inferencer([frames, mirrored])
    halves = (plain[0] + plain[1]).reshape(2, -1)
    expected = (halves / np.linalg.norm(halves, axis=1, keepdims=True)).reshape(-1) / np.sqrt(2)
    np.testing.assert_allclose(both[0], expected, atol=1e-5)


def test_nothing_gives_nothing(inferencer):
    assert inferencer([]).shape == (0, 64)


@pytest.mark.parametrize(
    ('item', 'message'),
    [
        ('absent', 'absent: does not exist; give the folder of a tracklet'),
        ('empty', 'empty: contains no pictures'),
        ([], 'a tracklet has no pictures'),
        (np.zeros((2, 8, 4), np.uint8), r'frames must be uint8 \(T, H, W, 3\)'),
        (np.zeros((0, 8, 4, 3), np.uint8), r'got uint8 \(0, 8, 4, 3\)'),
        (np.zeros((2, 8, 4, 3), np.float32), 'got float32'),
        (['absent.jpg'], r'absent\.jpg'),
    ],
)
def test_unusable_tracklets_are_named(inferencer, tmp_path, item, message):
    (tmp_path / 'empty').mkdir()
    item = tmp_path / item if isinstance(item, str) else item
    with pytest.raises(DatasetError, match=message):
        inferencer([item])


def test_mistakes_of_the_caller_are_named(inferencer, bundle):
    with pytest.raises(ConfigError, match='give a list of tracklets'):
        inferencer('folder')
    with pytest.raises(ConfigError, match="device 'cuda:99' cannot be used"):
        TrackletInferencer(bundle, device='cuda:99')


def test_features_that_are_not_finite_are_refused(bundle, tmp_path):
    broken = read_bundle(shutil.copytree(bundle.folder, tmp_path / 'copy'))
    path = broken.folder / 'model.safetensors'
    save_file(load_file(path) | {'static_neck.running_mean': torch.full((32,), torch.nan)}, path)
    with pytest.raises(TrainingError, match='features are not finite'):
        TrackletInferencer(broken)([np.zeros((2, 32, 16, 3), np.uint8)])
