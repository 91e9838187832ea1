import shutil

import numpy as np
import pytest

from dscreid.datasets import HITSZVCM
from dscreid.errors import ConfigError, DatasetError, MissingFileError
from dscreid.registry import DATASETS
from dscreid.structures import Modality


def load(root, split='train', **arguments):
    return HITSZVCM(root, split, expected_statistics=None, **arguments)


def records(dataset):
    return [(t.frames, t.modality, t.camera, t.is_query) for t in dataset.tracklets]


def test_a_tracklet_is_read_as_written(worlds):
    dataset = DATASETS.build({'type': 'HITSZVCM', 'root': str(worlds.hitsz()), 'split': 'train'})
    assert len(dataset) == 3 * 2 * 2
    infrared, visible = dataset.tracklets[1], dataset.tracklets[2]
    assert infrared.frames == tuple(f'Train/0001/ir/D2/{100 + k}.jpg' for k in range(13))
    assert (infrared.modality, infrared.camera, infrared.pid, infrared.is_query) == (Modality.IR, 2, 1, False)
    assert visible.frames[0] == 'Train/0001/rgb/D1/0.jpg'
    assert visible.modality is Modality.RGB


@pytest.mark.parametrize(('images', 'prefix'), [(None, 'Train/'), ('data', 'data/'), ('', '')])
@pytest.mark.parametrize('info', ['info', ''])
def test_root_variants(worlds, images, prefix, info):
    root = worlds.hitsz(images=images, info=info, people=1)
    frame = load(root).tracklets[0].frames[0]
    assert frame == f'{prefix}0001/ir/D1/0.jpg'
    assert (root / frame).is_file()


def test_train_labels_are_contiguous_and_test_has_none(worlds):
    root = worlds.hitsz()
    train, test = load(root), load(root, 'test')
    assert train.num_classes == 3
    assert train.labels.dtype == np.int64
    assert train.labels.tolist() == [t.pid - 1 for t in train.tracklets]
    assert (test.labels, test.num_classes) == (None, None)
    assert {t.pid for t in test.tracklets} == {4, 5, 6}


def test_queries_are_those_of_the_list(worlds):
    root = worlds.hitsz()
    (root / 'info/query_IDX.txt').write_text('2 5\n6')
    test = load(root, 'test')
    assert np.flatnonzero([t.is_query for t in test.tracklets]).tolist() == [1, 4, 5]
    assert not any(t.is_query for t in load(root).tracklets)


def test_short_tracklets_are_left_out(worlds, edit_line):
    root = worlds.hitsz(people=2)
    edit_line(root / 'info/track_train_info.txt', 3, '2 27 37 1 1')  # 11 frames
    edit_line(root / 'info/track_train_info.txt', 4, '2 40 51 1 2')  # 12 frames
    assert len(load(root)) == 7
    assert len(load(root, min_seq_len=1)) == 8
    (root / 'info/track_test_info.txt').write_text('1 1 5 3 1\n1 14 26 3 2\n2 27 39 3 1\n')
    (root / 'info/query_IDX.txt').write_text('1 2')
    assert [t.is_query for t in load(root, 'test').tracklets] == [True, False]


def test_pictures_keep_their_names(worlds):
    root = worlds.hitsz(people=1)
    names = root / 'info/train_name.txt'
    names.write_text(names.read_text().replace('F0.jpg', 'Fscene 4.JF7'))
    assert load(root).tracklets[0].frames[0] == 'Train/0001/ir/D1/scene 4.JF7'
    names.write_text(names.read_text().replace('Fscene 4.JF7', 'F000014'))
    assert load(root).tracklets[0].frames[0] == 'Train/0001/ir/D1/000014'


# foreign frames


def with_foreign_frames(root):
    """Line 1 gets a frame of another camera, line 3 one of another person."""
    names = (root / 'info/train_name.txt').read_text().splitlines()
    names[4] = '0001M1D2T2F100.jpg'
    names[30] = '0002M2D1T1F0.jpg'
    (root / 'info/train_name.txt').write_text('\n'.join(names) + '\n')


def test_foreign_frames_are_kept_and_listed(worlds, logged):
    root = worlds.hitsz(people=2)
    with_foreign_frames(root)
    dataset = load(root)
    assert dataset.tracklets[0].frames[4] == 'Train/0001/ir/D2/100.jpg'
    warning = logged[1]
    assert '2 tracklets hold frames' in warning
    assert 'track_train_info.txt:1 (1 of 13 frames, first 0001/ir/D2/100.jpg)' in warning
    assert 'track_train_info.txt:3 (1 of 13 frames, first 0002/rgb/D1/0.jpg)' in warning


def test_foreign_frames_can_be_dropped(worlds):
    root = worlds.hitsz(people=2)
    plain = load(root)
    with_foreign_frames(root)
    dropped = load(root, foreign_frames='drop')
    for row, missing in ((0, 4), (2, 4)):
        frames = plain.tracklets[row].frames
        assert dropped.tracklets[row].frames == frames[:missing] + frames[missing + 1 :]
    assert len(load(root, foreign_frames='drop', min_seq_len=13)) == 6


def test_unlabelled_split_does_not_look_at_persons(worlds, logged):
    root = worlds.hitsz(people=2)
    with_foreign_frames(root)
    dropped = load(root, foreign_frames='drop', labelled=False)
    assert [len(t) for t in dropped.tracklets] == [12] + [13] * 7
    assert '1 tracklets' in logged[1]
    assert len(dropped.read_ground_truth()) == 8


def test_foreign_frames_can_be_an_error(worlds):
    root = worlds.hitsz(people=2)
    load(root, foreign_frames='error')
    with_foreign_frames(root)
    with pytest.raises(DatasetError, match=r'track_train_info.txt:1: 2 tracklets hold frames'):
        load(root, foreign_frames='error')


# without labels


@pytest.mark.parametrize('scramble', ['deleted', 'permuted'])
def test_person_ids_do_not_reach_an_unlabelled_split(worlds, scramble):
    root = worlds.hitsz()
    before = load(root, labelled=False, foreign_frames='drop')
    truth = before.read_ground_truth()
    assert truth.tolist() == [t.pid for t in load(root).tracklets]
    info = root / 'info/track_train_info.txt'
    rows = [line.split() for line in info.read_text().splitlines()]
    for n, row in enumerate(rows):
        row[3] = '-1' if scramble == 'deleted' else str((n * 5) % 7 + 1)
    info.write_text('\n'.join(' '.join(row) for row in rows))
    after = load(root, labelled=False, foreign_frames='drop')
    assert after.tracklets == before.tracklets
    assert after.fingerprint() == before.fingerprint()
    assert all(t.pid is None for t in after.tracklets)
    assert (after.labels, after.num_classes) == (None, None)
    if scramble == 'deleted':
        with pytest.raises(DatasetError, match='has no person ids'):
            after.read_ground_truth()
    else:
        assert len(set(after.read_ground_truth())) == 7


def test_a_labelled_split_needs_every_person_id(worlds, edit_line):
    root = worlds.hitsz()
    edit_line(root / 'info/track_train_info.txt', 2, '1 14 26 -1 2')
    with pytest.raises(DatasetError, match=r'track_train_info.txt:2: no person id .*labelled=False'):
        load(root)


def edit_pids(root, change):
    """Replace the person ids of the test index; ``change`` maps line number and id to the new id."""
    info = root / 'info/track_test_info.txt'
    rows = [line.split() for line in info.read_text().splitlines()]
    for number, row in enumerate(rows):
        row[3] = change(number, row[3])
    info.write_text('\n'.join(' '.join(row) for row in rows))


@pytest.mark.parametrize('foreign_frames', ['keep', 'drop', 'error'])
def test_a_test_split_may_lack_all_person_ids(worlds, foreign_frames):
    root = worlds.hitsz()
    before = load(root, 'test')
    edit_pids(root, lambda number, pid: '-1')
    dataset = load(root, 'test', foreign_frames=foreign_frames)
    assert records(dataset) == records(before)
    assert all(t.pid is None for t in dataset.tracklets)
    assert dataset.statistics()['all'].identities is None
    reason = f"split 'test' of HITSZVCM in {root}: no tracklet has a person id"
    assert dataset.missing_identities() == reason
    assert before.missing_identities() is None
    assert load(root, 'test', labelled=False).missing_identities().endswith('it is read with labelled=False')


def test_a_test_split_may_lack_some_person_ids(worlds):
    root = worlds.hitsz()
    pids = [t.pid for t in load(root, 'test').tracklets]
    edit_pids(root, lambda number, pid: '-1' if number % 5 == 0 else pid)
    dataset = load(root, 'test', foreign_frames='error')
    assert [t.pid for t in dataset.tracklets] == [None if n % 5 == 0 else pid for n, pid in enumerate(pids)]
    assert dataset.statistics()['all'].identities == len(set(pids))
    assert dataset.missing_identities() is None


def test_a_missing_test_split_names_the_way_without_it(worlds):
    root = worlds.hitsz()
    shutil.rmtree(root / 'Test')
    with pytest.raises(MissingFileError, match=r"no folder with images of split 'test' .*test_dataloader=None"):
        load(root, 'test')
    (root / 'info/query_IDX.txt').unlink()
    with pytest.raises(MissingFileError, match=r'query_IDX\.txt: the index file is missing.*test_dataloader=None'):
        load(root, 'test')
    (root / 'info/track_test_info.txt').unlink()
    with pytest.raises(MissingFileError, match=r'track_test_info\.txt is missing.*test_dataloader=None'):
        load(root, 'test')
    (root / 'info/track_train_info.txt').unlink()
    with pytest.raises(MissingFileError) as error:
        load(root)
    assert 'test_dataloader' not in str(error.value)


# bad input


@pytest.mark.parametrize(
    ('file', 'number', 'text', 'message'),
    [
        ('train_name.txt', 3, '0001M3D1T1F2.jpg', r'train_name.txt:3: .*not a frame name'),
        ('train_name.txt', 3, '001M1D1T1F2.jpg', r'train_name.txt:3: .*not a frame name'),
        ('train_name.txt', 2, '', r"train_name.txt:2: '' is not a frame name"),
        ('train_name.txt', 2, '0001M1D1T1F../../x.jpg', r'train_name.txt:2: .*not a frame name'),
        ('train_name.txt', 2, '0001M1D1T1F..', r'train_name.txt:2: .*not a frame name'),
        ('train_name.txt', 2, '/etc/passwd', r'train_name.txt:2: .*not a frame name'),
        ('track_train_info.txt', 4, '1 2 3 4', r'track_train_info.txt:4: expected five integers'),
        ('track_train_info.txt', 4, '2 40 52 1 2.5', r'track_train_info.txt:4: expected five integers'),
        ('track_train_info.txt', 4, '0 40 52 1 2', r'track_train_info.txt:4: m must be 1'),
        ('track_train_info.txt', 4, '2 52 40 1 2', r'track_train_info.txt:4: frames 52 to 40'),
        ('track_train_info.txt', 4, '2 0 40 1 2', r'track_train_info.txt:4: frames 0 to 40'),
        ('track_train_info.txt', 4, '2 40 9000 1 2', r'track_train_info.txt:4: .*name file of 156 lines'),
    ],
)
def test_a_bad_line_is_named(worlds, edit_line, file, number, text, message):
    root = worlds.hitsz(pictures=False)
    (root / 'Train/0001').mkdir(parents=True)
    edit_line(root / 'info' / file, number, text)
    with pytest.raises(DatasetError, match=message):
        load(root)


@pytest.mark.parametrize('text', ['1 2 x', '1 13', '0'])
def test_a_bad_query_list_is_named(worlds, text):
    root = worlds.hitsz()
    (root / 'info/query_IDX.txt').write_text(f'1 3\n{text}\n')
    with pytest.raises(DatasetError, match=r'query_IDX.txt:2: expected line numbers from 1 to 12'):
        load(root, 'test')


@pytest.mark.parametrize('file', ['train_name.txt', 'track_train_info.txt'])
def test_a_missing_or_empty_index_file_is_named(worlds, file):
    root = worlds.hitsz()
    (root / 'info' / file).write_text('\n\n')
    with pytest.raises(DatasetError, match=f'{file}: the index file is empty'):
        load(root)
    (root / 'info' / file).unlink()
    with pytest.raises(DatasetError, match=rf'{file}.* missing'):
        load(root)


def test_missing_images_list_what_was_tried(worlds):
    root = worlds.hitsz()
    shutil.rmtree(root / 'Train')
    with pytest.raises(DatasetError, match=r'tried .*Train/0001, .*data/0001, .*hitsz/0001'):
        load(root)


def test_choices_are_checked(worlds):
    root = worlds.hitsz()
    with pytest.raises(ConfigError, match="'keep', 'drop' or 'error', got 'mend'"):
        load(root, foreign_frames='mend')
    with pytest.raises(ConfigError, match=r"split must be one of \('train', 'test'\), got 'val'"):
        load(root, 'val')


# published counts


def test_differences_from_the_published_counts_are_a_warning(worlds, logged):
    root = worlds.hitsz()
    HITSZVCM(root, 'train')
    warning = logged[-1]
    for phrase in ('train identities: 3 found, 500 published', 'identities: 6 found, 927 published'):
        assert phrase in warning
    assert 'visible frames: 156 found, 251,452 published' in warning
    assert 'infrared frames: 156 found, 211,807 published' in warning
    logged.clear()
    HITSZVCM(root, 'train', expected_statistics=None)
    assert len(logged) == 1


def test_no_warning_where_the_counts_agree(worlds, logged, monkeypatch):
    root = worlds.hitsz()
    counts = HITSZVCM(root, 'train').census()
    monkeypatch.setattr(HITSZVCM, 'PUBLISHED', counts)
    logged.clear()
    HITSZVCM(root, 'train', labelled=False)
    assert len(logged) == 1


def test_a_lone_split_is_usable(worlds, logged):
    root = worlds.hitsz()
    (root / 'info/track_test_info.txt').unlink()
    assert len(HITSZVCM(root, 'train')) == 12
    assert 'not compared' in logged[-1]
