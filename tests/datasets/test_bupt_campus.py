import json
import shutil

import numpy as np
import pytest

from dscreid.datasets import BUPTCampus
from dscreid.errors import ConfigError, DatasetError, MissingFileError
from dscreid.registry import DATASETS
from dscreid.structures import Modality


def load(root, split='train', **arguments):
    return BUPTCampus(root, split, expected_statistics=None, **arguments)


def pair_key(tracklet):
    """What an RGB and an IR tracklet of one line have in common."""
    return tracklet.frames[0].replace('RGB', 'IR')


def test_a_line_gives_one_visible_and_one_infrared_tracklet(worlds):
    dataset = DATASETS.build({'type': 'BUPTCampus', 'root': str(worlds.bupt()), 'split': 'train'})
    assert len(dataset) == 4 * 2 * 2
    visible, infrared = dataset.indices('rgb'), dataset.indices('ir')
    assert visible.tolist() == list(range(8))
    assert infrared.tolist() == list(range(8, 16))
    first = dataset.tracklets[1]
    assert first.frames == tuple(f'DATA/1/RGB/G25/1_RGB_G25_1_{k}.jpg' for k in range(5))
    assert (first.modality, first.camera, first.pid, first.is_query) == (Modality.RGB, 1, 1, False)
    assert [pair_key(dataset.tracklets[i]) for i in visible] == [dataset.tracklets[i].frames[0] for i in infrared]


def test_splits(worlds):
    root = worlds.bupt()
    auxiliary, both, test = (load(root, split) for split in ('auxiliary', 'train+auxiliary', 'test'))
    assert (len(auxiliary), auxiliary.num_classes) == (8, 4)
    assert (len(both), both.num_classes) == (24, 8)
    assert set(both.labels.tolist()) == set(range(8))
    assert (test.labels, test.num_classes) == (None, None)
    assert len(test) == 16
    assert [t.is_query for t in test.tracklets] == [i.camera == 0 for i in test.tracklets]
    assert sum(t.is_query for t in test.tracklets) == 8
    assert {t.pid for t in test.tracklets} == {9, 10, 11, 12}


def test_fake_infrared_replaces_visible_frames_only(worlds):
    root = worlds.bupt(people=1, fake=True)
    plain, fake = load(root), load(root, fake_ir=True)
    for before, after in zip(plain.tracklets, fake.tracklets, strict=True):
        assert after.modality is before.modality
        assert after.frames == tuple(f.replace('/RGB/', '/FakeIR/') for f in before.frames)
        assert all((root / frame).is_file() for frame in after.frames)


def test_fake_infrared_needs_the_visible_folder(worlds):
    root = worlds.bupt(people=1)
    text = (root / 'data_paths.json').read_text()
    (root / 'data_paths.json').write_text(text.replace('/RGB/', '/visible/'))
    load(root)
    with pytest.raises(DatasetError, match=r'train.txt:1: .*no /RGB/ folder'):
        load(root, fake_ir=True)


# without labels


def rename_people(root, rename):
    data = json.loads((root / 'data_paths.json').read_text())
    data = dict(sorted((rename(pid), entry) for pid, entry in data.items()))
    (root / 'data_paths.json').write_text(json.dumps(data))
    for file in ('train.txt', 'train_auxiliary.txt', 'query.txt', 'gallery.txt'):
        lines = [line.split() for line in (root / file).read_text().splitlines()]
        lines = sorted([rename(pid), *rest] for pid, *rest in lines)
        (root / file).write_text('\n'.join(' '.join(line) for line in lines))


@pytest.mark.parametrize('split', ['train', 'train+auxiliary', 'test'])
@pytest.mark.parametrize('rename', [lambda pid: str(99 - int(pid)), lambda pid: f'person{99 - int(pid)}'])
def test_person_ids_do_not_reach_an_unlabelled_split(worlds, split, rename):
    root = worlds.bupt()
    before = load(root, split, labelled=False)
    truth = before.read_ground_truth()
    assert [int(t.frames[0].split('/')[1]) for t in before.tracklets] == truth.tolist()
    rename_people(root, rename)
    after = load(root, split, labelled=False)
    assert after.tracklets == before.tracklets
    assert after.fingerprint() == before.fingerprint()
    assert all(t.pid is None for t in after.tracklets)
    if rename('1').isdigit():
        np.testing.assert_array_equal(after.read_ground_truth(), 99 - truth)
    else:
        with pytest.raises(DatasetError, match='has no person ids'):
            after.read_ground_truth()


def test_a_test_split_may_lack_all_person_ids(worlds):
    root = worlds.bupt()
    before = load(root, 'test')
    rename_people(root, lambda pid: f'person{99 - int(pid)}')
    dataset = load(root, 'test')
    assert {t.frames for t in dataset.tracklets} == {t.frames for t in before.tracklets}
    assert dataset.missing_identities().endswith('no tracklet has a person id')
    with pytest.raises(DatasetError, match='is not a number'):
        load(root, 'train')


def test_a_test_split_may_lack_some_person_ids(worlds):
    root = worlds.bupt()
    known = str(load(root, 'test').tracklets[0].pid)
    rename_people(root, lambda pid: '-1' if pid == known else pid)
    dataset = load(root, 'test')
    assert {t.pid for t in dataset.tracklets if t.frames[0].split('/')[1] == known} == {None}
    assert {str(t.pid) for t in dataset.tracklets if t.pid is not None} == {
        t.frames[0].split('/')[1] for t in dataset.tracklets
    } - {known}
    rename_people(root, lambda pid: 'x' if pid == '-1' else pid)
    with pytest.raises(DatasetError, match=r"person id 'x' is not a number of its own"):
        load(root, 'test')


def test_a_missing_query_list_names_the_way_without_a_test_set(worlds):
    root = worlds.bupt()
    (root / 'query.txt').unlink()
    with pytest.raises(MissingFileError, match=r'query\.txt: the index file is missing.*test_dataloader=None'):
        load(root, 'test')


def test_the_order_of_an_unlabelled_split_tells_neither_pairs_nor_people(worlds):
    root = worlds.bupt(people=60, cameras=4, length=1, pictures=False)
    dataset = load(root, labelled=False)
    visible, infrared = dataset.indices('rgb'), dataset.indices('ir')
    assert visible.tolist() == list(range(240))
    position = {dataset.tracklets[i].frames[0]: n for n, i in enumerate(infrared)}
    partner = np.array([position[pair_key(dataset.tracklets[i])] for i in visible])
    assert (partner == np.arange(240)).sum() <= 6
    assert abs(np.corrcoef(partner, np.arange(240))[0, 1]) < 0.25
    for rows in (visible, infrared):
        people = np.array([int(dataset.tracklets[i].frames[0].split('/')[1]) for i in rows])
        assert (people[1:] == people[:-1]).sum() <= 12  # 180 in file order; 3 by chance


def test_a_labelled_split_needs_numbers(worlds):
    root = worlds.bupt()
    rename_people(root, lambda pid: f'p{pid}')
    with pytest.raises(DatasetError, match=r"train.txt:1: person id 'p1' is not a number"):
        load(root)


def test_two_spellings_of_one_number_are_refused(worlds):
    root = worlds.bupt()
    rename_people(root, lambda pid: {'2': '01'}.get(pid, pid))
    with pytest.raises(DatasetError, match='written in one way'):
        load(root)


# bad input


@pytest.mark.parametrize(
    ('file', 'text', 'message'),
    [
        ('train.txt', '1 RGB/IR G25', r'train.txt:2: expected four fields'),
        ('train.txt', '1 RGB G25 1', r'train.txt:2: modality must be RGB/IR here'),
        ('train.txt', '1 RGB/IR X9 1', r"train.txt:2: unknown camera 'X9', expected one of LS3, G25"),
        ('train.txt', '1 RGB/IR G25 7', r"train.txt:2: tracklet '1 RGB G25 7' is not listed"),
        ('train.txt', '777 RGB/IR G25 1', r"train.txt:2: tracklet '777 RGB G25 1' is not listed"),
        ('train.txt', '', r'train.txt:2: expected four fields'),
        ('query.txt', '9 RGB/IR LS3 1', r'query.txt:2: modality must be RGB or IR here'),
    ],
)
def test_a_bad_line_is_named(worlds, edit_line, file, text, message):
    root = worlds.bupt(pictures=False)
    edit_line(root / file, 2, text)
    with pytest.raises(DatasetError, match=message):
        load(root, 'train' if file == 'train.txt' else 'test')


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        ([], 'is no list of frame paths'),
        ('x.jpg', 'is no list of frame paths'),
        ([3], 'is no list of frame paths'),
        (['../../etc/passwd'], r"frame path '../../etc/passwd' is empty or leaves"),
        (['/etc/passwd'], "frame path '/etc/passwd' is empty or leaves"),
        (['1/RGB/..\\x.jpg'], 'is empty or leaves'),
        ([''], 'is empty or leaves'),
    ],
)
def test_a_bad_entry_of_the_json_is_named(worlds, entry, message):
    root = worlds.bupt(pictures=False)
    data = json.loads((root / 'data_paths.json').read_text())
    data['1']['RGB']['LS3']['1'] = entry
    (root / 'data_paths.json').write_text(json.dumps(data))
    with pytest.raises(DatasetError, match=f"train.txt:1: tracklet '1 RGB LS3 1' .*{message}"):
        load(root)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"1":\n {"RGB": }}', r'data_paths.json:2: not valid JSON'),
        ('[1, 2]', r'data_paths.json:1: expected a JSON object'),
        ('{"1": [2]}', r"tracklet '1 RGB LS3 1' is not listed"),
        ('[' * 100_000, r'data_paths.json:1: '),
    ],
)
def test_a_bad_json_is_named(worlds, text, message):
    root = worlds.bupt(pictures=False)
    (root / 'data_paths.json').write_text(text)
    with pytest.raises(DatasetError, match=message):
        load(root)


def test_missing_parts_are_named(worlds):
    root = worlds.bupt(pictures=False)
    shutil.rmtree(root / 'DATA')
    with pytest.raises(DatasetError, match='DATA: the image folder is missing'):
        load(root)
    (root / 'train.txt').unlink()
    (root / 'DATA').mkdir()
    with pytest.raises(DatasetError, match=r'train.txt: the index file is missing'):
        load(root)
    with pytest.raises(ConfigError, match=r"split must be one of .*'train\+auxiliary', 'test'"):
        load(root, 'gallery')


# published counts and audit


def test_differences_from_the_published_counts_are_a_warning(worlds, logged):
    BUPTCampus(worlds.bupt(), 'test')
    warning = logged[-1]
    for phrase in (
        'train identities: 4 found, 1,074 published',
        'auxiliary identities: 4 found, 930 published',
        'test identities: 4 found, 1,076 published',
        'tracklets: 40 found, 16,826 published',
        'frames: 200 found, 1,865,000 to 1,875,000 published',
    ):
        assert phrase in warning


def test_generated_frames_are_not_counted(worlds, logged):
    root = worlds.bupt(people=1)
    data = json.loads((root / 'data_paths.json').read_text())
    plain = load(root).census()
    data['1']['FakeIR'] = data['1']['RGB']
    (root / 'data_paths.json').write_text(json.dumps(data))
    assert load(root).census() == plain
