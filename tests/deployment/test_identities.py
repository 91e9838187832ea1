import csv
import shutil
from datetime import datetime

import cv2
import numpy as np
import pytest
from track_files import COLUMNS, SIZE, write_original

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.gallery_rows import Entry
from dscreid.deployment.identities import check_tracks, names_in_folder, write_identities, write_tracks
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality
from dscreid.tracks.conversion_record import read_boxes, read_conversion
from dscreid.tracks.convert import ConversionSettings, convert
from dscreid.tracks.filters import FilterSettings
from dscreid.tracks.formats import FORMATS, read_tracks
from dscreid.tracks.sources import Source

#: Identities of the tracklets, and the frames of each.
IDENTITIES = {'gate_rgb/gate_00001': 7, 'gate_rgb/gate_00002': 8, 'gate_rgb/gate_00002.2': 7}
FRAMES = {(1, 7): range(12), (2, 8): range(2, 10), (2, 7): range(15, 20)}


def box(frame, track, left=20.0, confidence=0.75, width=30.0, odd=1):
    top, height = 10.0, 60.0
    return dict(frame=frame, one=frame + 1, id=track, left=left, top=top, width=width, height=height,
                right=left + width, bottom=top + height, confidence=confidence, odd=odd)  # fmt: skip


def boxes():
    """Track 1 with rows that rules leave out, track 2 with a gap, and track 0, which is too short."""
    found = [box(frame, track, left=20.0 + frame) for (track, _), frames in FRAMES.items() for frame in frames]
    found[3] |= dict(confidence=0.125)
    found[4] |= dict(width=5.0, right=found[4]['left'] + 5.0)
    duplicate = box(5, 1, left=90.0, confidence=0.5)
    return [*found, duplicate, box(0, 0), box(1, 0)]


@pytest.fixture
def converted(tmp_path):
    """Function that writes the boxes in a format and cuts them out; file, order of the boxes, and the folder."""

    def make(name):
        file, rows = write_original(tmp_path, name, boxes())
        (tmp_path / 'gate').mkdir()
        for number in range(20):
            cv2.imwrite(str(tmp_path / f'gate/{number}.png'), np.full((SIZE[1], SIZE[0], 3), 100, np.uint8))
        source = Source(tmp_path / 'gate', file.path, 'gate', Modality.RGB, datetime(2026, 3, 1), 5.0, name)
        columns = tuple(COLUMNS.items()) if name == 'columns' else ()
        convert([source], tmp_path / 'own', ConversionSettings(FilterSettings(min_crops=3), columns=columns))
        return file, rows, tmp_path / 'own'

    return make


@pytest.mark.parametrize('name', FORMATS)
def test_the_original_returns_with_identities(converted, tmp_path, name):
    file, rows, root = converted(name)
    check_tracks(root, tmp_path / 'linked', 'original')
    written = write_tracks(root, IDENTITIES, tmp_path / 'linked', 'original')
    assert written == (1, len(rows), 25)
    out = tmp_path / f'linked/gate_rgb/gate{file.path.suffix}'
    found = read_tracks(file._replace(path=out), name)
    left = np.round(found.corners[:, 0], 6)
    expected = [(20.0 + frame, frame, number) for (_, number), frames in FRAMES.items() for frame in frames]
    assert sorted(zip(left.tolist(), found.frame.tolist(), found.track.tolist(), strict=True)) == sorted(expected)
    narrow = {5.0 if frame == 4 and number == 7 else 30.0 for _, frame, number in expected}
    assert set(np.round(found.width, 6)) == narrow


def test_tracklets_without_an_identity_are_left_out(converted, tmp_path):
    file, _, root = converted('boxmot-mot')
    for format_name in ('original', 'mot'):
        written = write_tracks(root, {'gate_rgb/gate_00002.2': 3}, tmp_path / 'linked', format_name)
        assert (written.boxes, written.written) == (28, 5)
        found = read_tracks(file._replace(path=tmp_path / 'linked/gate_rgb/gate.txt'))
        assert found.frame.tolist() == list(range(15, 20))
        assert set(found.track.tolist()) == {3}


def test_mot_results_have_the_boxes_that_no_rule_left_out(converted, tmp_path):
    file, _, root = converted('mot')
    written = write_tracks(root, IDENTITIES, tmp_path / 'linked', 'mot')
    assert written == (1, 28, 23)
    found = read_tracks(file._replace(path=tmp_path / 'linked/gate_rgb/gate.txt'), 'mot')
    (video,) = read_conversion(root).values()
    kept = read_boxes(root, video)
    numbers = [IDENTITIES[video.tracklets[number]['tracklet']] for number in kept.track]
    assert set(zip(found.frame.tolist(), found.track.tolist(), strict=True)) == set(
        zip(kept.frame.tolist(), numbers, strict=True)
    )


@pytest.mark.parametrize('name', ['mot', 'ultralytics'])
def test_a_missing_or_changed_original_is_refused(converted, tmp_path, name):
    file, _, root = converted(name)
    inside = file.path / 'gate_1.txt' if file.path.is_dir() else file.path
    inside.write_text(inside.read_text() + '\n')
    for write in (lambda: check_tracks(root, tmp_path / 'linked', 'original'),
                  lambda: write_tracks(root, IDENTITIES, tmp_path / 'linked', 'original')):  # fmt: skip
        with pytest.raises(DatasetError, match=r'has changed since gate_rgb/gate was converted; convert it again, or'):
            write()
    shutil.rmtree(file.path) if file.path.is_dir() else file.path.unlink()
    with pytest.raises(DatasetError, match=r'the tracks of gate_rgb/gate are missing; restore them, or write another'):
        check_tracks(root, tmp_path / 'linked', 'original')
    check_tracks(root, tmp_path / 'linked', 'mot')
    assert not list((tmp_path / 'linked').rglob('*.txt'))


@pytest.mark.parametrize('name', ['mot', 'ultralytics'])
def test_the_original_is_not_replaced(converted, tmp_path, name):
    file, _, root = converted(name)
    (tmp_path / 'linked/gate_rgb').mkdir(parents=True)
    (tmp_path / f'linked/gate_rgb/gate{file.path.suffix}').symlink_to(file.path)
    with pytest.raises(ConfigError, match='cannot be written, it is read by the same command'):
        check_tracks(root, tmp_path / 'linked', 'original')


def test_conversions_without_rows_say_what_to_do(converted, tmp_path):
    _, _, root = converted('mot')
    (root / '.converted/gate_rgb__gate.rows.npy').unlink()
    with pytest.raises(DatasetError, match='the rows of gate_rgb/gate are missing; convert into a new folder'):
        check_tracks(root, tmp_path / 'linked', 'original')
    assert write_tracks(root, IDENTITIES, tmp_path / 'linked', 'mot').written == 23


def test_tracklets_of_a_gallery_are_found_by_their_folders(converted, tmp_path):
    _, _, root = converted('mot')
    folders = [root / 'gate_rgb/gate_00002', tmp_path / 'other/gate_rgb/gate_00001', root / 'gate_rgb/gate_00001']
    entries = [Entry(f't{n}', 'gate', Modality.RGB, str(folder)) for n, folder in enumerate(folders)]
    assert names_in_folder(entries, root) == {'t0': 'gate_rgb/gate_00002', 't2': 'gate_rgb/gate_00001'}
    with pytest.raises(DatasetError, match='has none of the tracklets; name the folder that was added to the gallery'):
        names_in_folder(entries[1:2], root)
    with pytest.raises(DatasetError, match='was not written by dscreid tracks'):
        names_in_folder(entries, tmp_path / 'gate')


def test_identities_are_a_table(tmp_path):
    rows = [TrackletRow('a,1', 'gate', Modality.RGB, 'a'), TrackletRow('b', 'gate', Modality.IR, 'b')]
    write_identities(tmp_path / 'ids.csv', rows, [1, 2])
    with (tmp_path / 'ids.csv').open(newline='') as file:
        assert list(csv.reader(file)) == [
            ['tracklet', 'camera', 'modality', 'identity'],
            ['a,1', 'gate', 'rgb', '1'],
            ['b', 'gate', 'ir', '2'],
        ]
