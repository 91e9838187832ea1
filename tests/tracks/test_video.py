import cv2
import numpy as np
import pytest
from numbered_frames import SIZE, picture

from dscreid.errors import DatasetError
from dscreid.tracks.video import VideoHeader, read_frames, read_header, settled_times


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'frames').mkdir()
    for number in range(12):
        cv2.imwrite(str(tmp_path / f'frames/f{number}.png'), picture(number))
    return tmp_path / 'frames'


def test_the_header_of_a_video(make_video):
    path = make_video(frames=25, fps=12.5)
    header = read_header(path)
    assert header == VideoHeader(SIZE, 25, 12.5)
    assert read_header(path, fps=50.0).fps == 50
    np.testing.assert_allclose(header.times()[[0, 1, 24]], [0, 0.08, 1.92])


@pytest.mark.parametrize('wanted', [{0, 7, 24}, set()])
def test_all_frames_are_counted_and_wanted_ones_decoded(make_video, wanted):
    path = make_video(frames=25, fps=10.0)
    frames = list(read_frames(path, read_header(path), wanted))
    assert [frame.number for frame in frames] == list(range(25))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(25) / 10, atol=1e-6)
    assert {frame.number for frame in frames if frame.image is not None} == wanted
    for frame in frames:
        if frame.image is not None:
            np.testing.assert_allclose(frame.image, picture(frame.number), atol=6)


def test_pictures_of_a_folder_are_read_in_natural_order(folder):
    header = read_header(folder, fps=5.0)
    assert header == VideoHeader(SIZE, 12, 5.0)
    frames = list(read_frames(folder, header, {2, 10}))
    assert [frame.time for frame in frames] == [number / 5 for number in range(12)]
    np.testing.assert_array_equal(frames[10].image, picture(10))
    np.testing.assert_array_equal(frames[2].image, picture(2))
    assert frames[3].image is None


def test_unusable_folders_are_named(folder, tmp_path):
    with pytest.raises(DatasetError, match='frames per second are unknown; write them in the column fps'):
        read_header(folder)
    cv2.imwrite(str(folder / 'f3.png'), picture(3)[:50])
    with pytest.raises(DatasetError, match=r'f3\.png: not a picture of 160x120 pixels as the first'):
        list(read_frames(folder, VideoHeader(SIZE, 12, 5.0), range(12)))
    (folder / 'f0.png').write_bytes(b'no picture')
    with pytest.raises(DatasetError, match=r'f0\.png: not a picture; remove it'):
        read_header(folder, 5.0)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DatasetError, match='contains no pictures'):
        read_header(tmp_path / 'empty', 5.0)


def test_unusable_videos_are_named(tmp_path):
    with pytest.raises(DatasetError, match='the video is missing; correct the path'):
        read_header(tmp_path / 'absent.mp4')
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(DatasetError, match=r'text\.mp4: cannot be opened'):
        read_header(tmp_path / 'text.mp4')


def test_times_near_a_constant_rate_are_constant():
    header = VideoHeader(SIZE, 4, 10.0)
    constant = np.arange(4) / 10
    np.testing.assert_array_equal(settled_times(header, constant + np.array([0, 0.01, -0.02, 0.05])), constant)
    varying = np.array([0.0, 0.1, 0.5, 0.6])
    np.testing.assert_array_equal(settled_times(header, varying), varying)
    for useless in ([0.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.4, 0.6]):
        np.testing.assert_array_equal(settled_times(header, np.array(useless)), constant)
    assert settled_times(header, np.zeros(0)).shape == (0,)
