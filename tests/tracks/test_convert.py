import csv
from datetime import datetime

import cv2
import numpy as np
import pytest
from full_disks import files_of_at_most
from numbered_frames import SIZE, number_of

from dscreid.datasets import TrackletFolder
from dscreid.datasets.tracklet_table import read_table
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality
from dscreid.tracks.contact_sheet import write_contact_sheet
from dscreid.tracks.convert import ConversionSettings, convert, convert_video, unique_names
from dscreid.tracks.filters import FilterSettings
from dscreid.tracks.sources import Source
from dscreid.tracks.video import VideoHeader

ALL_FRAMES = ConversionSettings(FilterSettings(rate=None))


def source(video, tracks, camera='gate', modality='rgb', **settings):
    return Source(video, tracks, camera, Modality(modality), **settings)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*.jpg')}


def test_crops_are_those_of_the_boxes(make_video, make_tracks, tmp_path):
    tracks = make_tracks(tracks=[(4, range(3, 20)), (0, range(10, 30))], box=(90, 10, 40, 100))
    start = datetime(2026, 3, 1, 8, 30)
    (video,) = convert([source(make_video(), tracks, start_time=start)], tmp_path / 'out', ALL_FRAMES)
    assert (video.num_frames, video.num_boxes, video.num_crops, video.left_out) == (30, 37, 37, {})
    first, second = read_table(tmp_path / 'out/tracklets.csv')
    assert (first.folder, second.folder) == ('gate_rgb/gate_00000', 'gate_rgb/gate_00004')
    assert second.start_time == datetime(2026, 3, 1, 8, 30, 0, 300_000)
    assert second.end_time == datetime(2026, 3, 1, 8, 30, 1, 900_000)
    crops = sorted((tmp_path / 'out' / second.folder).iterdir())
    assert [path.name for path in crops] == [f'{number:06d}.jpg' for number in range(3, 20)]
    for path in crops:
        crop = cv2.imread(str(path))
        assert crop.shape == (100, 40, 3)
        assert number_of(crop) == int(path.stem)


def test_the_result_is_a_tracklet_folder(make_video, make_tracks, tmp_path):
    sources = [
        source(make_video('a.avi'), make_tracks('a.txt')),
        source(make_video('b.avi'), make_tracks('b.txt', [(1, range(12)), (2, range(30))]), 'yard', 'ir'),
    ]
    videos = convert(sources, tmp_path / 'out', ConversionSettings(), jobs=2)
    write_contact_sheet(tmp_path / 'out/contact_sheet.jpg', tmp_path / 'out', [r for v in videos for r in v.rows()])
    dataset = TrackletFolder(tmp_path / 'out', 'train', labelled=False)
    found = {(t.modality.value, t.camera, len(t)) for t in dataset.tracklets}
    assert found == {('rgb', 0, 24), ('ir', 1, 9), ('ir', 1, 24)}  # 8 of 10 frames per second
    (tmp_path / 'out/tracklets.csv').unlink()
    assert {t.frames for t in TrackletFolder(tmp_path / 'out', 'train', labelled=False).tracklets} == {
        t.frames for t in dataset.tracklets
    }
    sheet = cv2.imread(str(tmp_path / 'out/contact_sheet.jpg'))
    assert sheet.shape[0] > 2 * 128
    assert sheet.shape[1] > 16 * 64


def test_gaps_make_parts(make_video, make_tracks, tmp_path):
    tracks = make_tracks(tracks=[(5, [*range(8), *range(22, 30)])])
    (video,) = convert([source(make_video(), tracks)], tmp_path / 'out', ALL_FRAMES)
    assert [row.folder for row in video.rows()] == ['gate_rgb/gate_00005', 'gate_rgb/gate_00005.2']
    assert 'tracks split at gaps: 1' in video.describe()


@pytest.mark.parametrize(
    'announced', [VideoHeader(SIZE, 90, 10.0), VideoHeader(SIZE, 0, 10.0), VideoHeader(SIZE, 5, 2.0)]
)
def test_a_wrong_header_makes_no_difference(make_video, make_tracks, tmp_path, announced):
    tracks = make_tracks(tracks=[(1, range(40)), (2, range(26, 40)), (3, range(29))])
    video = source(make_video(), tracks)
    (right,) = convert([video], tmp_path / 'right', ALL_FRAMES)
    (tmp_path / 'wrong/.converted').mkdir(parents=True)
    wrong = convert_video('gate_rgb/gate', video, announced, tmp_path / 'wrong', ALL_FRAMES)
    if announced.fps == 10:  # times are measured, and a constant rate counts only if it fits them
        assert wrong == right
    assert files(tmp_path / 'wrong') == files(tmp_path / 'right')
    assert right.left_out == {'beyond the end of the video': 20, 'too short a track': 4}
    assert 'is the video complete, and do the tracks belong to it?' in right.describe()


def test_an_interrupted_conversion_continues(make_video, make_tracks, tmp_path):
    good = source(make_video('a.avi'), make_tracks('a.txt'))
    bad = source(make_video('b.avi'), make_tracks('b.txt', tracks=[(1, range(15))]), 'yard')
    convert([good, bad], tmp_path / 'clean', ConversionSettings())
    content = bad.tracks.read_bytes()
    bad.tracks.write_text('')
    out = tmp_path / 'out'
    with pytest.raises(DatasetError, match=r'b\.txt: contains no box'):
        convert([bad, good], out, ConversionSettings())
    assert [row.camera for row in read_table(out / 'tracklets.csv')] == ['gate']  # the error came after it
    bad.tracks.write_bytes(content)
    # as a killed process leaves it: a part of the next video, and crops in its final folder without a record
    for folder in ('.unfinished/yard_rgb/b/00001', 'yard_rgb/b_00001'):
        (out / folder).mkdir(parents=True)
        (out / folder / '000999.jpg').touch()
    before = (out / 'gate_rgb/a_00001/000000.jpg').stat().st_mtime_ns
    convert([good, bad], out, ConversionSettings())
    assert files(out) == files(tmp_path / 'clean')
    assert (out / 'tracklets.csv').read_bytes() == (tmp_path / 'clean/tracklets.csv').read_bytes()
    assert (out / 'gate_rgb/a_00001/000000.jpg').stat().st_mtime_ns == before
    assert not (out / '.unfinished').exists()


def test_an_unreadable_video_does_not_stop_the_others(make_video, make_tracks, tmp_path):
    (tmp_path / 'bad.avi').write_bytes(b'no video')
    bad = source(tmp_path / 'bad.avi', make_tracks('b.txt'), 'yard')
    gone = source(tmp_path / 'gone.avi', make_tracks('b.txt'), 'hall')
    with pytest.raises(DatasetError, match=r'bad\.avi: cannot be opened.*gone\.avi: the video is missing'):
        convert([bad, gone, source(make_video(), make_tracks())], tmp_path / 'out', ConversionSettings(), jobs=2)
    assert [row.camera for row in read_table(tmp_path / 'out/tracklets.csv')] == ['gate']
    with pytest.raises(DatasetError, match=r'gone\.avi: the video is missing'):
        convert([gone], tmp_path / 'other', ConversionSettings())


def test_a_full_disk_keeps_finished_videos(make_video, make_tracks, tmp_path):
    first, second = (
        source(make_video('a.avi'), make_tracks('a.txt')),
        source(make_video('b.avi'), make_tracks(), 'yard'),
    )
    convert([first, second], tmp_path / 'clean', ConversionSettings())
    out = tmp_path / 'out'
    convert([first], out, ConversionSettings())
    kept = files(out)
    for num_bytes in (0, 100, 700):
        with files_of_at_most(num_bytes), pytest.raises(OSError, match='File too large'):
            convert([first, second], out, ConversionSettings())
        assert kept.items() <= files(out).items()
        assert [row.camera for row in read_table(out / 'tracklets.csv')] == ['gate']
    convert([first, second], out, ConversionSettings())
    assert files(out) == files(tmp_path / 'clean')
    assert (out / 'tracklets.csv').read_bytes() == (tmp_path / 'clean/tracklets.csv').read_bytes()


def test_videos_can_be_added_but_settings_cannot_change(make_video, make_tracks, tmp_path):
    first = source(make_video('a.avi'), make_tracks('a.txt'))
    second = source(make_video('b.avi'), make_tracks('b.txt'), 'yard')
    convert([first], tmp_path / 'out', ConversionSettings())
    assert len(convert([second, first], tmp_path / 'out', ConversionSettings())) == 2
    assert [row.camera for row in read_table(tmp_path / 'out/tracklets.csv')] == ['yard', 'gate']
    with pytest.raises(DatasetError, match=r'gate_rgb/a was converted before with other filters; convert into a new'):
        convert([first], tmp_path / 'out', ALL_FRAMES)
    make_tracks('a.txt', tracks=[(9, range(30))], box=(91, 10, 40, 100))
    with pytest.raises(DatasetError, match='with other tracks'):
        convert([first], tmp_path / 'out', ConversionSettings())


def test_foreign_folders_are_left_alone(make_video, make_tracks, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/thesis.txt').touch()
    with pytest.raises(DatasetError, match='contains files, but none of a conversion; choose a new or empty folder'):
        convert([source(make_video(), make_tracks())], tmp_path / 'out', ConversionSettings())


def test_nothing_found_is_no_error_but_an_empty_table(make_video, make_tracks, tmp_path):
    (video,) = convert([source(make_video(), make_tracks(tracks=[(-1, range(9))]))], tmp_path / 'out', ALL_FRAMES)
    assert video.left_out == {'not tracked': 9}
    with (tmp_path / 'out/tracklets.csv').open() as file:
        assert list(csv.reader(file)) == [['tracklet', 'camera', 'modality']]
    write_contact_sheet(tmp_path / 'sheet.jpg', tmp_path, [])
    assert not (tmp_path / 'sheet.jpg').exists()


def test_names_are_unique_and_plain(tmp_path):
    paths = ['a/x 1.mp4', 'b/x 1.mp4', 'c/\udcff.mp4', 'd/é.mp4']
    sources = [source(tmp_path / path, tmp_path) for path in paths]
    assert list(unique_names(sources)) == ['gate_rgb/x_1', 'gate_rgb/x_1.2', 'gate_rgb/_', 'gate_rgb/_.2']


def test_folders_of_frames_are_videos(make_tracks, tmp_path):
    (tmp_path / 'frames').mkdir()
    for number in range(12):
        cv2.imwrite(str(tmp_path / f'frames/{number}.png'), np.full((120, 160, 3), 60 + 3 * number, np.uint8))
    one = source(tmp_path / 'frames', make_tracks(tracks=[(1, range(12))]), fps=4.0)
    (video,) = convert([one], tmp_path / 'out', ConversionSettings())
    numbers = {
        int(name[-10:-4]): number_of(cv2.imread(str(tmp_path / 'out' / name))) for name in files(tmp_path / 'out')
    }
    assert numbers == {number: number for number in range(12)}
    assert video.num_frames == 12


def test_the_quality_is_checked():
    with pytest.raises(ConfigError, match='the JPEG quality is 0; choose 1 to 100'):
        ConversionSettings(quality=0)
