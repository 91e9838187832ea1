import shutil

import cv2
import numpy as np
import pytest
from own_cameras import make_tracklet_folder

from dscreid.datasets.tracklet_table import read_table, write_table
from dscreid.deployment import TrackletInferencer, add_folder, open_folder, open_gallery
from dscreid.errors import DatasetError, GalleryError
from dscreid.structures import Modality

pytest.importorskip('lancedb')


@pytest.fixture(scope='module')
def inferencer(bundle):
    return TrackletInferencer(bundle, batch_size=16)


@pytest.fixture
def root(tiny_runs, tmp_path):
    """Nine tracklets of the training and of the test split, with persons."""
    out = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own')
    rows = read_table(out / 'tracklets.csv')
    chosen = [*rows[:5], *[row for row in rows if row.split == 'test'][:4]]
    write_table(out / 'tracklets.csv', chosen)
    return out


@pytest.fixture
def gallery(tmp_path, inferencer):
    return open_gallery(tmp_path / 'gallery', inferencer.bundle, create=True)


def stored(gallery):
    """All tracklets by name, as they are answers to a search."""
    (hits,) = gallery.search(np.ones((1, gallery.about['size']), np.float32), top=1_000)
    return {hit.entry.tracklet: hit.entry for hit in hits}


def test_tracklets_are_added_with_their_facts_and_features(gallery, root, inferencer):
    dataset = open_folder(root)
    assert add_folder(gallery, dataset, inferencer, per_transaction=4) == (9, 0)
    found = stored(gallery)
    assert found.keys() == {row.tracklet for row in read_table(root / 'tracklets.csv')}
    features = inferencer(dataset, progress=False)
    for row, feature in zip(dataset.rows, features, strict=True):
        one = found[row.tracklet]
        assert (one.camera, one.modality) == (row.camera, row.modality)
        assert one.folder == str((root / row.frames[0]).parent)
        (hits,) = gallery.search(feature[None], top=2)
        assert hits[0].entry.tracklet == row.tracklet
        assert hits[0].similarity == pytest.approx(1, abs=1e-5)
        middle = cv2.imread(str(root / row.frames[len(row.frames) // 2]))
        picture = cv2.imdecode(np.frombuffer(one.thumbnail, np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(picture.astype(int) - middle).mean() < 6


def test_nothing_of_the_gallery_names_a_person(gallery, root, inferencer):
    rows = read_table(root / 'tracklets.csv')
    named = [row.__class__(**{**vars(row), 'person': 'anna-marie'}) for row in rows]
    write_table(root / 'tracklets.csv', named)
    add_folder(gallery, open_folder(root), inferencer)
    files = [path for path in gallery.storage.folder.rglob('*') if path.is_file()]
    assert not any(b'anna-marie' in path.read_bytes() for path in files)


def test_a_second_call_adds_only_what_is_new(gallery, root, inferencer):
    rows = read_table(root / 'tracklets.csv')
    write_table(root / 'tracklets.csv', rows[:6])
    assert add_folder(gallery, open_folder(root), inferencer) == (6, 0)
    write_table(root / 'tracklets.csv', rows)
    assert add_folder(gallery, open_folder(root), inferencer) == (3, 6)
    assert add_folder(gallery, open_folder(root), inferencer) == (0, 9)
    assert add_folder(gallery, open_folder(root), inferencer, replace=True) == (9, 0)
    assert len(gallery) == 9


def test_an_addition_that_ended_early_goes_on(gallery, root, inferencer):
    last = root / read_table(root / 'tracklets.csv')[-1].frames[0]
    dataset = open_folder(root)
    content = last.read_bytes()
    last.write_bytes(content[:100])
    with pytest.raises(DatasetError, match=last.name):
        add_folder(gallery, dataset, inferencer, per_transaction=1)
    known = len(gallery)
    assert known < 9
    last.write_bytes(content)
    assert add_folder(gallery, dataset, inferencer) == (9 - known, known)


def test_a_tracklet_with_an_unreadable_frame_can_be_left_out(gallery, root, inferencer):
    frame = root / read_table(root / 'tracklets.csv')[2].frames[0]
    frame.write_bytes(frame.read_bytes()[:100])
    assert add_folder(gallery, open_folder(root, 'skip_tracklet'), inferencer) == (8, 0)


def test_no_thumbnails(gallery, root, inferencer):
    add_folder(gallery, open_folder(root), inferencer, thumbnails=False)
    assert {one.thumbnail for one in stored(gallery).values()} == {None}


def test_the_same_name_from_another_folder_is_refused(gallery, root, inferencer, tmp_path):
    add_folder(gallery, open_folder(root), inferencer)
    moved = shutil.move(root, tmp_path / 'moved')
    with pytest.raises(GalleryError, match=r"has a tracklet '\w+' from .*own.*, not from .*moved.*; rename it, or"):
        add_folder(gallery, open_folder(moved), inferencer)
    assert add_folder(gallery, open_folder(moved), inferencer, replace=True) == (9, 0)
    assert all(str(moved) in one.folder for one in stored(gallery).values())


def test_a_name_in_both_splits_is_refused(gallery, root, inferencer):
    rows = read_table(root / 'tracklets.csv')
    for split in ('train', 'test'):
        inside = [row.__class__(**{**vars(row), 'tracklet': 'same', 'split': ''}) for row in rows if row.split == split]
        for row in inside[:1]:
            for frame in row.frames:
                (root / split / frame).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / frame, root / split / frame)
        write_table(root / split / 'tracklets.csv', inside[:1])
    (root / 'tracklets.csv').unlink()
    with pytest.raises(GalleryError, match=r"tracklet 'same' is in .* and in .*; rename one of them"):
        add_folder(gallery, open_folder(root), inferencer)


def test_folders_without_a_table(gallery, inferencer, tmp_path):
    for name in ('gate_rgb/1', 'gate_ir/1', 'gate_ir/2'):
        (tmp_path / 'own' / name).mkdir(parents=True)
        picture = np.random.default_rng(len(name)).integers(0, 256, (40, 20, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / 'own' / name / '0.png'), picture)
    assert add_folder(gallery, open_folder(tmp_path / 'own'), inferencer) == (3, 0)
    found = stored(gallery)
    assert {(name, one.camera, one.modality) for name, one in found.items()} == {
        ('gate_rgb/1', 'gate', Modality.RGB),
        ('gate_ir/1', 'gate', Modality.IR),
        ('gate_ir/2', 'gate', Modality.IR),
    }
    assert found['gate_ir/2'].folder == str(tmp_path / 'own/gate_ir/2')
