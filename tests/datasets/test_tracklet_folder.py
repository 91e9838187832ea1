import cv2
import numpy as np
import pytest

from dscreid.datasets import TrackletFolder, packing
from dscreid.datasets.storage import FrameFormat
from dscreid.errors import ConfigError, DatasetError
from dscreid.evaluation.protocols import protocol_directions
from dscreid.registry import DATASETS
from dscreid.structures import Modality

PICTURE = cv2.imencode('.jpg', np.full((8, 4, 3), 90, np.uint8))[1].tobytes()
PIPELINE = [
    dict(type='SampleFrames', rule='segment_first', num_frames=2),
    dict(type='LoadFrames', size=(8, 4)),
    dict(type='PackTracklet'),
]


def fill(root, *folders, frames=('0.jpg', '1.jpg')):
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for name in frames:
            (root / folder / name).write_bytes(PICTURE)


def names(dataset):
    return sorted(tracklet.frames[0].rpartition('/')[0] for tracklet in dataset.tracklets)


@pytest.fixture
def folders(tmp_path):
    fill(tmp_path, 'gate_rgb/7', 'gate_ir/7', 'yard_2_rgb/a b', 'yard_10_ir/x')
    return tmp_path


@pytest.fixture
def people(tmp_path):
    fill(tmp_path, 'crops/1', 'crops/2', 'crops/3', 'crops/4')
    lines = ['a,gate,rgb,crops/1,eve', 'b,gate,ir,crops/2,adam', 'c,yard,rgb,crops/3,adam', 'd,yard,ir,crops/4,eve']
    (tmp_path / 'tracklets.csv').write_text('\n'.join(['tracklet,camera,modality,folder,person', *lines]))
    return tmp_path


def test_folders_are_tracklets(folders):
    dataset = DATASETS.build(dict(type='TrackletFolder', root=str(folders), split='train', labelled=False))
    assert names(dataset) == ['gate_ir/7', 'gate_rgb/7', 'yard_10_ir/x', 'yard_2_rgb/a b']
    assert dataset.camera_names == ['gate', 'yard_2', 'yard_10']
    found = {t.frames: (t.modality, t.camera, t.pid) for t in dataset.tracklets}
    assert found['gate_ir/7/0.jpg', 'gate_ir/7/1.jpg'] == (Modality.IR, 0, None)
    assert found['yard_10_ir/x/0.jpg', 'yard_10_ir/x/1.jpg'] == (Modality.IR, 2, None)
    assert dataset.labels is None


def test_frames_are_in_natural_order(tmp_path):
    fill(tmp_path, 'gate_rgb/1', frames=['f10.jpg', 'f9.jpg', 'f1.jpg', 'notes.txt', '.hidden.jpg'])
    (tracklet,) = TrackletFolder(tmp_path, 'test', labelled=False).tracklets
    assert [frame.rpartition('/')[2] for frame in tracklet.frames] == ['f1.jpg', 'f9.jpg', 'f10.jpg']


def test_pictures_beside_the_cameras_and_hidden_folders_are_ignored(folders):
    (folders / 'contact_sheet.jpg').write_bytes(PICTURE)
    fill(folders, '.trash/gate_rgb/9')
    assert len(TrackletFolder(folders, 'train', labelled=False)) == 4


@pytest.mark.parametrize('folder', ['gate/1', 'gate_thermal/1', 'gate_rgb/day/1', '_rgb/1'])
def test_a_folder_with_another_name_is_refused(folders, folder):
    fill(folders, folder)
    with pytest.raises(DatasetError, match='not CAMERA_rgb/TRACKLET or CAMERA_ir/TRACKLET') as error:
        TrackletFolder(folders, 'train', labelled=False)
    assert str(folders / folder) in str(error.value)


def test_persons_of_the_table_become_labels(people):
    dataset = TrackletFolder(people, 'train')
    assert [t.pid for t in dataset.tracklets] == [1, 0, 0, 1]
    assert dataset.labels.tolist() == [1, 0, 0, 1]
    assert dataset.num_classes == 2
    assert dataset.wheres[2] == f'{people / "tracklets.csv"}:4'
    assert [t.camera for t in dataset.tracklets] == [0, 0, 1, 1]


def test_an_unlabeled_split_knows_no_person_but_ground_truth_does(people):
    dataset = TrackletFolder(people, 'train', labelled=False)
    assert {t.pid for t in dataset.tracklets} == {None}
    by_frame = dict(zip([t.frames[0] for t in dataset.tracklets], dataset.read_ground_truth(), strict=True))
    assert by_frame == {'crops/1/0.jpg': 1, 'crops/2/0.jpg': 0, 'crops/3/0.jpg': 0, 'crops/4/0.jpg': 1}


def test_training_with_labels_needs_all_persons_and_testing_some(people):
    path = people / 'tracklets.csv'
    path.write_text(path.read_text().replace('crops/3,adam', 'crops/3,'))
    with pytest.raises(DatasetError, match=r'tracklets.csv:4: no person is named; .* use labelled=False'):
        TrackletFolder(people, 'train')
    assert [t.pid for t in TrackletFolder(people, 'test').tracklets] == [1, 0, None, 1]


def test_without_persons_nothing_is_evaluated(folders):
    assert 'no tracklet has a person id' in TrackletFolder(folders, 'test').missing_identities()


def test_both_splits_are_everything_unless_divided(people):
    assert names(TrackletFolder(people, 'train')) == names(TrackletFolder(people, 'test'))
    path = people / 'tracklets.csv'
    ends = iter(['split', 'train', 'test', '', 'train'])
    path.write_text('\n'.join(f'{line},{next(ends)}' for line in path.read_text().splitlines()))
    assert names(TrackletFolder(people, 'train')) == ['crops/1', 'crops/3', 'crops/4']
    test = TrackletFolder(people, 'test')
    assert names(test) == ['crops/2', 'crops/3']
    assert [t.pid for t in test.tracklets] == [0, 0]


def test_folders_divide_the_splits(tmp_path):
    fill(tmp_path, 'train/gate_rgb/1', 'train/gate_ir/2', 'test/yard_rgb/1')
    train, test = (TrackletFolder(tmp_path, split, labelled=False) for split in ('train', 'test'))
    assert names(train) == ['train/gate_ir/2', 'train/gate_rgb/1']
    assert names(test) == ['test/yard_rgb/1']
    assert test.camera_names == ['gate', 'yard']


def test_tables_divide_the_splits(tmp_path):
    for split, person in (('train', 'a'), ('test', 'b')):
        fill(tmp_path, f'{split}/x')
        header = 'tracklet,camera,modality,frames,person'
        (tmp_path / split / 'tracklets.csv').write_text(f'{header}\n1,gate,rgb,x/1.jpg;x/0.jpg,{person}\n')
    (tracklet,) = TrackletFolder(tmp_path, 'test').tracklets
    assert tracklet.frames == ('test/x/1.jpg', 'test/x/0.jpg')
    assert tracklet.pid == 1


def test_an_empty_folder_is_named(people):
    path = people / 'tracklets.csv'
    path.write_text(path.read_text().replace('crops/2', 'crops/9'))
    with pytest.raises(DatasetError, match=r"tracklets.csv:3: folder 'crops/9' has no picture"):
        TrackletFolder(people, 'test')


def test_packed_tracklets_load_alike(people, tmp_path_factory):
    out = tmp_path_factory.mktemp('packed') / 'out'
    frame_format = FrameFormat(size=(8, 4), encoding='raw', quality=None)
    packing.pack(packing.plan_packing('tracklet_folder', people, frame_format), out)
    plain, packed = (TrackletFolder(root, 'train', pipeline=PIPELINE) for root in (people, out))
    assert plain.tracklets == packed.tracklets
    assert all(bool((plain[i]['inputs'] == packed[i]['inputs']).all()) for i in range(len(plain)))


def test_protocols_of_own_cameras(people):
    dataset = TrackletFolder(people, 'test')
    modalities, queries = [t.modality for t in dataset.tracklets], [t.is_query for t in dataset.tracklets]
    found = protocol_directions('cross_modal', modalities, queries)
    assert {name: (d.query.tolist(), d.gallery.tolist()) for name, d in found.items()} == {
        'rgb2ir': ([0, 2], [1, 3]),
        'ir2rgb': ([1, 3], [0, 2]),
    }
    for name, drops in (('all_to_all', False), ('other_cameras', True)):
        (direction,) = protocol_directions(name, modalities, queries).values()
        assert (direction.query.tolist(), direction.gallery.tolist()) == ([0, 1, 2, 3], [0, 1, 2, 3])
        assert direction.drop_same_camera is drops


def test_rows_are_those_of_the_tracklets(people):
    lines = (people / 'tracklets.csv').read_text().splitlines()
    (people / 'tracklets.csv').write_text('\n'.join([*lines, 'e,gate,rgb,crops/1,adam']))  # repeats the first
    labeled = TrackletFolder(people, 'test')
    assert [(row.tracklet, row.person) for row in labeled.rows] == [
        ('a', 'eve'), ('b', 'adam'), ('c', 'adam'), ('d', 'eve')
    ]  # fmt: skip
    unlabeled = TrackletFolder(people, 'test', labelled=False)
    assert {row.person + row.where for row in unlabeled.rows} == {''}
    assert [f'{row.folder}/0.jpg' for row in unlabeled.rows] == [t.frames[0] for t in unlabeled.tracklets]
    assert [row.tracklet for row in TrackletFolder(people, 'test', modality='ir').rows] == ['b', 'd']


def test_the_union_of_both_splits_is_everything(people, tmp_path_factory):
    root = tmp_path_factory.mktemp('divided')
    fill(root, 'train/gate_rgb/1', 'test/gate_ir/2')
    assert names(TrackletFolder(root, 'train+test', labelled=False)) == ['test/gate_ir/2', 'train/gate_rgb/1']
    path = people / 'tracklets.csv'
    ends = iter(['split', 'train', 'test', '', 'train'])
    path.write_text('\n'.join(f'{line},{next(ends)}' for line in path.read_text().splitlines()))
    assert names(TrackletFolder(people, 'train+test')) == ['crops/1', 'crops/2', 'crops/3', 'crops/4']


def with_times(people, *times):
    path = people / 'tracklets.csv'
    ends = iter(['start_time', *times])
    path.write_text('\n'.join(f'{line},{next(ends)}' for line in path.read_text().splitlines()))
    return people


def test_a_time_divides_the_splits(people):
    root = with_times(people, '2026-03-01T08:00', '', '2026-03-02T00:00', '2026-03-03T09:00')
    train, test = (TrackletFolder(root, split, test_from='2026-03-02') for split in ('train', 'test'))
    assert names(train) == ['crops/1', 'crops/2']
    assert names(test) == ['crops/3', 'crops/4']
    assert not train.splits_overlap
    assert names(TrackletFolder(root, 'train+test', test_from='2026-03-02')) == names(TrackletFolder(root, 'train'))
    assert len(TrackletFolder(root, 'test', test_from=None)) == 4


def test_a_time_zone_is_a_part_of_the_time(people):
    root = with_times(people, *['2026-03-01T08:00:00+01:00'] * 2, *['2026-03-01T07:30:00+00:00'] * 2)
    assert names(TrackletFolder(root, 'test', test_from='2026-03-01T08:30:00+01:00')) == ['crops/3', 'crops/4']


@pytest.mark.parametrize(
    ('times', 'test_from', 'words'),
    [
        (['2026-03-01'] * 4, '2026-03-02', 'no tracklet starts at test_from=2026-03-02T00:00:00 or later'),
        (['2026-03-01'] * 4, '2026-03-01', 'all tracklets start at test_from'),
        ([''] * 4, '2026-03-01', r'no tracklet has a start_time in tracklets\.csv, which test_from needs'),
        (['2026-03-01'] * 4, '2026-03-01T00:00:00+00:00', 'with a time zone, unlike times'),
        (['', '', '', '2026-03-01T00:00:00+00:00'], '2026-03-01', 'without a time zone, unlike times'),
    ],
)
def test_times_that_cannot_divide_are_refused(people, times, test_from, words):
    root = with_times(people, *times)
    with pytest.raises(DatasetError, match=words):
        TrackletFolder(root, 'train', labelled=False, test_from=test_from)


def test_a_divided_folder_is_not_divided_again(tmp_path):
    fill(tmp_path, 'train/gate_rgb/1', 'test/gate_ir/2')
    with pytest.raises(DatasetError, match='already divided'):
        TrackletFolder(tmp_path, 'train', labelled=False, test_from='2026-03-01')


def test_what_is_no_time_is_refused(people):
    for word, named in (('noon', "'noon'"), ('', "'an empty text'")):
        with pytest.raises(ConfigError, match=f'test_from: {named} is not a time such as'):
            TrackletFolder(people, 'train', test_from=word)
