"""Reading queries. Frames of the videos have their number as brightness; the right half is brighter."""

import cv2
import numpy as np
import pytest
from numbered_frames import SIZE, number_of, picture
from PIL import Image

from dscreid.deployment import TrackletInferencer, query_frames
from dscreid.deployment.query_frames import KEPT_FRAMES, read_query
from dscreid.deployment.query_part import PixelBox, parse_frames
from dscreid.errors import DatasetError

RIGHT = PixelBox(90, 10, 40, 100)


def write_video(path, frames, size=SIZE):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, size)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(cv2.resize(picture(number), size))
    writer.release()
    return path


@pytest.fixture
def clip(tmp_path):
    return write_video(tmp_path / 'clip.avi', 30)


def numbers(crops):
    return [number_of(crop) for crop in crops]


def test_a_short_video_gives_all_its_frames_cut_to_the_box(clip):
    crops = read_query(clip, RIGHT)
    assert {crop.shape for crop in crops} == {(100, 40, 3)}
    assert {crop.dtype for crop in crops} == {np.dtype(np.uint8)}
    assert numbers(crops) == list(range(30))


def test_without_a_box_the_whole_picture_is_used(clip):
    (first, *_) = read_query(clip)
    assert first.shape == (SIZE[1], SIZE[0], 3)
    np.testing.assert_allclose(first, picture(0), atol=6)


@pytest.mark.parametrize(
    ('frames', 'expected'), [('3-5', [3, 4, 5]), ('0-0', [0]), ('27-29', [27, 28, 29]), ('28-', [28, 29])]
)
def test_some_frames_of_a_video(clip, frames, expected):
    assert numbers(read_query(clip, RIGHT, parse_frames(frames))) == expected


@pytest.mark.parametrize(('length', 'first'), [(65, 0), (64, 0), (33, 0), (32, 0), (60, 7)])
def test_of_many_frames_evenly_spaced_ones_are_kept(tmp_path, length, first):
    found = numbers(read_query(write_video(tmp_path / 'long.avi', length), RIGHT, parse_frames(f'{first}-')))
    # the smallest power of two as step that is enough
    steps = (1, 2, 4)
    step = next(one for one in steps if len(range(first, length, one)) <= KEPT_FRAMES)
    assert found == list(range(first, length, step))


def test_colors_are_in_rgb_order(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / 'red.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, SIZE)
    for _ in range(3):
        writer.write(np.full((SIZE[1], SIZE[0], 3), (0, 0, 255), np.uint8))
    writer.release()
    red, green, blue = read_query(tmp_path / 'red.avi')[0].reshape(-1, 3).mean(0)
    assert red > 240
    assert max(green, blue) < 15


def test_large_persons_are_shrunk(tmp_path, monkeypatch):
    monkeypatch.setattr(query_frames, 'MAX_HEIGHT', 50)
    clip = write_video(tmp_path / 'clip.avi', 2)
    assert [one.shape for one in read_query(clip, RIGHT)] == [(50, 20, 3)] * 2
    assert numbers(read_query(clip, RIGHT)) == [0, 1]


@pytest.mark.parametrize(
    ('box', 'frames', 'message'),
    [
        (PixelBox(130, 0, 40, 40), None, r'clip\.avi: the box 130,0,40,40 leaves the picture of 160x120 pixels'),
        (PixelBox(0, 0, 40, 3), None, r'clip\.avi: the box 0,0,40,3 in the picture of 160x120 pixels is smaller than'),
        (None, '28-30', r'clip\.avi: has no frame 30; its 30 frames count from 0'),
        (None, '30-', r'clip\.avi: has no frame 30; its 30 frames count from 0'),
    ],
)
def test_parts_that_a_video_does_not_have(clip, box, frames, message):
    with pytest.raises(DatasetError, match=message):
        read_query(clip, box, None if frames is None else parse_frames(frames))


def test_files_that_are_no_query(tmp_path):
    with pytest.raises(DatasetError, match=r'absent\.mp4: does not exist'):
        read_query(tmp_path / 'absent.mp4')
    (tmp_path / 'notes.txt').write_text('no video')
    with pytest.raises(DatasetError, match=r'notes\.txt: cannot be opened; is it a video that OpenCV can read\?'):
        read_query(tmp_path / 'notes.txt')
    (tmp_path / 'damaged.jpg').write_bytes(b'\xff\xd8 and no more')
    with pytest.raises(DatasetError, match=r'damaged\.jpg: not a complete image file'):
        read_query(tmp_path / 'damaged.jpg', RIGHT)


def test_a_picture_with_a_box(tmp_path):
    cv2.imwrite(str(tmp_path / 'photo.png'), picture(4))
    cv2.imwrite(str(tmp_path / 'gray.png'), picture(4)[..., 0])
    for name in ('photo.png', 'gray.png'):
        (crop,) = read_query(tmp_path / name, PixelBox(70, 20, 20, 30))
        np.testing.assert_array_equal(crop, picture(4)[20:50, 70:90])
    with pytest.raises(DatasetError, match=r'photo\.png: the box 70,20,91,30 leaves the picture of 160x120'):
        read_query(tmp_path / 'photo.png', PixelBox(70, 20, 91, 30))
    with pytest.raises(DatasetError, match=r'photo\.png: is one picture; leave --frames out'):
        read_query(tmp_path / 'photo.png', frames=parse_frames('0-0'))


def test_a_photo_is_upright_and_its_box_is_that_of_a_viewer(tmp_path):
    image = Image.fromarray(picture(4))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / 'phone.png', exif=exif)
    turned = np.rot90(picture(4), -1)
    for box, expected in ((None, turned), (PixelBox(0, 70, 120, 20), turned[70:90])):
        (crop,) = read_query(tmp_path / 'phone.png', box)
        np.testing.assert_array_equal(crop, expected)


def test_pictures_without_a_box_are_used_as_they_are(tmp_path):
    paths = [tmp_path / f'{number}.png' for number in (2, 10, 11)]
    for path in paths:
        cv2.imwrite(str(path), picture(int(path.stem)))
    assert read_query(paths[0]) == paths[:1]
    assert read_query(tmp_path) == paths
    assert read_query(tmp_path, frames=parse_frames('1-2')) == paths[1:]
    assert numbers(read_query(tmp_path, RIGHT, parse_frames('1-'))) == [10, 11]
    with pytest.raises(DatasetError, match='has no frame 3; its 3 frames count from 0'):
        read_query(tmp_path, frames=parse_frames('1-3'))


@pytest.mark.parametrize('frames', [None, '4-20'])
def test_a_video_has_the_features_of_a_folder_of_the_same_crops(clip, bundle, tmp_path, frames):
    (tmp_path / 'crops').mkdir()
    video = cv2.VideoCapture(str(clip))
    for number in range(30):
        image = video.read()[1]
        if frames is None or 4 <= number <= 20:
            cv2.imwrite(str(tmp_path / f'crops/{number}.png'), image[10:110, 90:130])
    video.release()
    found = read_query(clip, RIGHT, None if frames is None else parse_frames(frames))
    one, other = TrackletInferencer(bundle)([found, tmp_path / 'crops'], progress=False)
    np.testing.assert_array_equal(one, other)
    whole = TrackletInferencer(bundle)([read_query(clip)], progress=False)[0]
    assert not np.allclose(one, whole)
