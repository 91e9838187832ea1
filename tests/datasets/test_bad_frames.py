"""Frames that cannot be read: refused, substituted, or their tracklets left out; never a hang."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from dscreid.apis.config import load_config
from dscreid.datasets import HITSZVCM, bad_frames
from dscreid.datasets.bad_frames import find_bad_frames, with_substitutes
from dscreid.datasets.decoding import decode_frame, decode_with_cv2
from dscreid.datasets.storage import FolderFrames
from dscreid.errors import ConfigError, DatasetError, FrameError
from dscreid.structures import Draw, Modality, Tracklet

PIPELINE = [
    {'type': 'SampleFrames', 'num_frames': 4, 'rule': 'segment_random'},
    {'type': 'LoadFrames', 'size': (32, 16)},
    {'type': 'PackTracklet'},
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('DSCREID_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture
def root(tiny_runs, tmp_path):
    """A rendered world that a test may damage."""
    shutil.copytree(tiny_runs.hitsz, tmp_path / 'hitsz')
    return tmp_path / 'hitsz'


def load(root, policy='error', **arguments):
    settings = {'pipeline': PIPELINE, 'expected_statistics': None, 'on_bad_frame': policy, **arguments}
    return HITSZVCM(root, 'train', **settings)


def damage(root, frames, how='cut'):
    for frame in frames:
        path = root / frame
        content = path.read_bytes()
        path.unlink()
        if how == 'cut':
            path.write_bytes(content[: len(content) // 2])
        elif how == 'empty':
            path.write_bytes(b'')
        elif how == 'pipe':
            os.mkfifo(path)


def nearest_readable(root, frames, position):
    """The oracle: sort all positions by distance and index, take the first that decodes."""
    for place in sorted(range(len(frames)), key=lambda p: (abs(p - position), p)):
        try:
            return decode_frame(FolderFrames(root), frames[place], decode_with_cv2)
        except FrameError:
            continue
    return None


@pytest.mark.parametrize('length', [1, 2, 7, 8])
def test_nearest_frames_stand_in(length):
    rng = np.random.default_rng(length)
    frames = tuple(map(str, range(length)))
    for _ in range(20):
        good = set(rng.choice(frames, rng.integers(1, length + 1), replace=False).tolist())
        found = with_substitutes(Tracklet(frames, Modality.IR, 0), {*frames} - good, Path('root')).frames
        for place, frame in enumerate(found):
            by_distance = sorted(range(length), key=lambda p: (abs(p - place), p))
            assert frame == next(frames[p] for p in by_distance if frames[p] in good)


@pytest.mark.parametrize('how', ['cut', 'empty', 'missing', 'pipe'])
def test_the_nearest_readable_frame_stands_in(root, how):
    plain = load(root)
    frames = plain.tracklets[5].frames
    damage(root, [frames[i] for i in (0, 1, 4, 5, 6, 11)], how)
    dataset = load(root, 'substitute')
    rng = np.random.default_rng([3, 5])
    chosen = dataset.pipeline[0]({'tracklet': dataset.tracklets[5], 'rng': rng})['frame_indices']
    item = dataset[Draw(5, 3)]['inputs'].numpy().transpose(0, 2, 3, 1)
    for image, position in zip(item, chosen, strict=True):
        assert (image == nearest_readable(root, frames, position)).all()


def test_the_default_stops_at_the_first_bad_frame(root):
    dataset = load(root)
    damage(root, dataset.tracklets[5].frames)
    with pytest.raises(DatasetError, match=r'not a complete image.*on_bad_frame.*tracklet 5'):
        dataset[5]
    assert dataset[4]['inputs'].shape == (4, 3, 32, 16)


@pytest.mark.parametrize('policy', ['error', 'substitute'])
@pytest.mark.timeout(20)
def test_a_pipe_in_place_of_a_frame_does_not_block(root, policy):
    damage(root, load(root).tracklets[0].frames, 'pipe')
    with pytest.raises(
        DatasetError, match='no regular file' if policy == 'error' else 'frames of its tracklet are bad'
    ):
        load(root, policy)[0]


def test_a_tracklet_without_readable_frames_says_so(root):
    frames = load(root).tracklets[2].frames
    damage(root, frames)
    with pytest.raises(DatasetError, match=rf'{frames[0]}: all {len(frames)} frames .*bad; .*skip_t'):
        load(root, 'substitute')


def test_a_frame_outside_the_root_is_never_substituted(root, tmp_path):
    dataset = load(root)
    for frame in dataset.tracklets[0].frames:
        shutil.copy(root / frame, tmp_path / 'outside.jpg')
        (root / frame).unlink()
        (root / frame).symlink_to(tmp_path / 'outside.jpg')
    with pytest.raises(DatasetError, match='leads out of the data root'):
        dataset[0]
    for policy in ('substitute', 'skip_tracklet'):
        with pytest.raises(DatasetError, match='leads out of the data root'):
            load(root, policy)


def one_epoch(dataset, workers):
    loader = Runner.build_dataloader(
        {
            'dataset': dataset,
            'sampler': {'type': 'SequentialSampler', '_scope_': 'dscreid'},
            'batch_size': 8,
            'num_workers': workers,
            'persistent_workers': workers > 0,
        },
        seed=1,
    )
    pixels = [torch.stack(batch['inputs']) for _ in range(2) for batch in loader]
    return torch.cat(pixels), loader.dataset.bad_frames()


def test_workers_change_neither_batches_nor_the_list(root):
    tracklets = load(root).tracklets
    rng = np.random.default_rng(1)
    damaged = {t.frames[i] for t in tracklets[::3] for i in rng.choice(len(t), 6, replace=False)}
    damage(root, damaged)
    runs = []
    for workers in (0, 1, 2):
        runs.append(one_epoch(load(root, 'substitute'), workers))
    assert [entry['frame'] for entry in runs[0][1]] == sorted(damaged)
    assert all('not a complete image' in entry['fault'] for entry in runs[0][1])
    for pixels, bad in runs[1:]:
        assert torch.equal(pixels, runs[0][0])
        assert bad == runs[0][1]


def test_skipped_tracklets_are_never_seen(root, logged):
    whole = load(root, pipeline=[])
    people = sorted({t.pid for t in whole.tracklets})
    # every tracklet of the second person, and one of the third
    bad = [t.frames[-1] for t in whole.tracklets if t.pid == people[1]]
    third = next(t for t in whole.tracklets if t.pid == people[2])
    damage(root, [*bad, third.frames[3]])
    logged.clear()
    dataset = load(root, 'skip_tracklet')
    expected = [t for t in whole.tracklets if t.pid != people[1] and t.frames != third.frames]
    assert dataset.tracklets == expected
    assert dataset.num_classes == len(people) - 1
    kept = [pid for pid in people if pid != people[1]]
    assert dataset.labels.tolist() == [kept.index(t.pid) for t in expected]
    assert dataset.num_skipped_tracklets == len(whole) - len(expected)
    assert {entry['frame'] for entry in dataset.bad_frames()} == {*bad, third.frames[3]}
    assert any(f'{len(bad) + 1} tracklets of split' in line for line in logged)
    assert dataset.fingerprint() != whole.fingerprint()
    assert len(one_epoch(dataset, 1)[0]) == 2 * len(expected)
    unlabelled = load(root, 'skip_tracklet', labelled=False)
    assert unlabelled.read_ground_truth().tolist() == [t.pid for t in expected]


def test_frames_are_checked_once_and_mended_ones_come_back(root, monkeypatch):
    whole = load(root)
    broken = whole.tracklets[0].frames[2]
    content = (root / broken).read_bytes()
    damage(root, [broken])
    checked = []
    original = bad_frames.fault_of
    monkeypatch.setattr(
        bad_frames, 'fault_of', lambda storage, frame: checked.append(frame) or original(storage, frame)
    )
    assert len(load(root, 'skip_tracklet')) == len(whole) - 1
    assert sorted(checked) == sorted({f for t in whole.tracklets for f in t.frames})
    checked.clear()
    assert len(load(root, 'skip_tracklet')) == len(whole) - 1
    assert checked == [broken]
    (root / broken).write_bytes(content)
    assert len(load(root, 'skip_tracklet')) == len(whole)


@pytest.mark.parametrize('policy', ['substitute', 'skip_tracklet'])
def test_a_frame_that_breaks_after_the_check_is_an_error(root, policy):
    dataset = load(root, policy)
    damage(root, dataset.tracklets[0].frames)
    with pytest.raises(DatasetError, match=r'could be read when the dataset.s frames were checked'):
        dataset[0]


@pytest.mark.parametrize('content', ['', '[]', '{"bad": 3}', '{"bad": [1], "fingerprint": "f"}', '\x00'])
def test_an_unusable_kept_list_is_made_anew(root, cache, content):
    tracklets = load(root).tracklets
    damage(root, [tracklets[1].frames[0]])
    assert list(find_bad_frames(FolderFrames(root), tracklets, 'f')) == [tracklets[1].frames[0]]
    [kept] = cache.glob('bad_frames/*.json')
    kept.write_text(content)
    assert list(find_bad_frames(FolderFrames(root), tracklets, 'f')) == [tracklets[1].frames[0]]


def test_an_unknown_policy_is_refused(root):
    with pytest.raises(ConfigError, match=r"'error', 'substitute', 'skip_tracklet'\), got 'ignore'"):
        load(root, 'ignore')


def test_one_option_reaches_every_dataset_of_a_config(tiny_runs):
    config = load_config(tiny_runs.adapt, {'on_bad_frame': 'substitute'})
    loaders = [config.train_dataloader, config.val_dataloader, config.test_dataloader]
    assert [loader.dataset.on_bad_frame for loader in loaders] == ['substitute'] * 3
    assert 'on_bad_frame' not in load_config(tiny_runs.adapt).train_dataloader.dataset
