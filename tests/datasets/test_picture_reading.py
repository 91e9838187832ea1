"""What all image data sets share: index files, missing and empty pictures, and everything around a tracklet."""

import pytest
from hand_made_pictures import PICTURE, write_llcm, write_regdb, write_sysu, write_text

from dscreid.datasets import LLCM, SYSUMM01, RegDB, packing
from dscreid.datasets.pictures import parse_ids, parse_labeled_path
from dscreid.datasets.storage import FrameFormat
from dscreid.errors import DatasetError
from dscreid.registry import DATASETS

KINDS = {'SYSUMM01': (SYSUMM01, write_sysu), 'RegDB': (RegDB, write_regdb), 'LLCM': (LLCM, write_llcm)}
every_kind = pytest.mark.parametrize('name', KINDS)
PIPELINE = [
    dict(type='SampleFrames', rule='segment_first', num_frames=1),
    dict(type='LoadFrames', size=(8, 4)),
    dict(type='PackTracklet'),
]


@pytest.fixture
def tree(tmp_path, request):
    return KINDS[request.getfixturevalue('name')][1](tmp_path)


@every_kind
def test_pictures_are_tracklets_of_one_frame(tree, name):
    dataset = DATASETS.build(dict(type=name, root=str(tree), split='train', pipeline=PIPELINE))
    assert {len(tracklet) for tracklet in dataset.tracklets} == {1}
    assert dataset.labels.max() == dataset.num_classes - 1
    assert dataset[0]['inputs'].shape == (1, 3, 8, 4)
    assert dataset.single_frames
    assert not any(tracklet.is_query for tracklet in dataset.tracklets)


@every_kind
def test_an_unlabeled_split_reveals_no_person(tree, name):
    kind = KINDS[name][0]
    dataset, labeled = kind(tree, 'train', labelled=False), kind(tree, 'train')
    assert {tracklet.pid for tracklet in dataset.tracklets} == {None}
    assert dataset.wheres is None
    assert sorted(t.frames for t in dataset.tracklets) == sorted(t.frames for t in labeled.tracklets)
    known = {t.frames: t.pid for t in labeled.tracklets}
    assert dataset.read_ground_truth().tolist() == [known[t.frames] for t in dataset.tracklets]


@every_kind
@pytest.mark.parametrize(('content', 'fault'), [(b'', 'has no bytes'), (None, 'is missing')])
def test_a_picture_that_cannot_be_used_is_found_before_anything_runs(tree, name, content, fault):
    kind = KINDS[name][0]
    frame = kind(tree, 'test').tracklets[-1].frames[0]
    if name != 'RegDB' and content is None:
        pytest.skip('the folders are the index')
    (tree / frame).unlink()
    if content is not None:
        (tree / frame).write_bytes(content)
    with pytest.raises(DatasetError, match=rf'\.txt:\d+: picture {tree / frame} {fault}; unpack .*on_bad_frame$'):
        kind(tree, 'test')
    kept = kind(tree, 'test', on_bad_frame='skip_tracklet')
    assert frame not in {t.frames[0] for t in kept.tracklets}
    assert kept.num_skipped_tracklets == 1


@every_kind
def test_packed_pictures_are_the_same_data_set(tree, name, tmp_path):
    kind = KINDS[name][0]
    plan = packing.plan_packing(kind.NAME, tree, FrameFormat((8, 4), encoding='raw', quality=None))
    packing.pack(plan, tmp_path / 'packed')
    for split in kind.SPLITS:
        packed, plain = (kind(root, split, pipeline=PIPELINE) for root in (tmp_path / 'packed', tree))
        assert packed.tracklets == plain.tracklets
        assert (packed[0]['inputs'] == plain[0]['inputs']).all()


@every_kind
def test_published_counts_are_compared(tree, name):
    differences = KINDS[name][0](tree, 'test').differences_from_published()
    assert any(difference.startswith('train identities: ') for difference in differences)
    assert len(differences) == len(KINDS[name][0].PUBLISHED)


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        ('1,2,\n', r":1: entry 3, '', is no person id; remove the comma"),
        ('1,,2\n', r":1: entry 2, '', is no person id; remove the comma"),
        ('1 2\n', r":1: entry 1, '1 2', is no person id; restore"),
        ('1\n2\n', r':2: expected one line'),
        ('1,2,1\n', r':1: person 1 is listed twice'),
        ('-1\n', r':1: person -1 has no folder of four digits'),
        ('10000\n', r':1: person 10000 has no folder of four digits'),
        ('\n', r'is empty'),
    ],
)
def test_malformed_lists_of_persons(tmp_path, text, fault):
    write_text(tmp_path, {'ids.txt': text})
    with pytest.raises(DatasetError, match=f'ids.txt.*{fault.lstrip(":")}'):
        parse_ids(tmp_path / 'ids.txt')


def test_lists_of_persons(tmp_path):
    write_text(tmp_path, {'ids.txt': '7, 0012,3\r\n'})
    assert parse_ids(tmp_path / 'ids.txt') == [7, 12, 3]


@pytest.mark.parametrize('line', ['', 'a.jpg', 'a.jpg b', 'a.jpg -1', '3', ' 3', 'a.jpg 3.0'])
def test_malformed_lines_of_pictures(line):
    with pytest.raises(ValueError, match='expected "path label"'):
        parse_labeled_path(line)


def test_lines_of_pictures():
    assert parse_labeled_path('Visible/1/a b.bmp 0') == ('Visible/1/a b.bmp', 0)


def test_a_path_out_of_the_data_set_is_refused(tmp_path):
    write_regdb(tmp_path)
    write_text(tmp_path, {'idx/test_visible_1.txt': 'Visible/1/v_1.bmp 0\n../secret.bmp 1\n'})
    with pytest.raises(DatasetError, match=r"test_visible_1.txt:2: frame path '../secret.bmp' is empty or leaves"):
        RegDB(tmp_path, 'test')


def test_hidden_files_and_other_folders_are_ignored(tmp_path):
    write_sysu(tmp_path)
    expected = SYSUMM01(tmp_path, 'test').tracklets
    for name in (
        'cam1/0004/._0001.jpg',
        'cam1/0004/notes.txt',
        'cam1/0004/more/0001.jpg',
        'cam7/0004/0001.jpg',
        '0004.jpg',
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PICTURE)
    assert SYSUMM01(tmp_path, 'test').tracklets == expected
