import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from dscreid.deployment.web import uploads
from dscreid.deployment.web.uploads import Box, parse_box, query_frames
from dscreid.errors import DatasetError


def gradient(height=40, width=20):
    """A picture without any symmetry."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 250, height)[:, None]
    image[..., 1] = np.linspace(0, 250, width)[None]
    return image


def encoded(image, suffix='.png'):
    return cv2.imencode(suffix, image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


def video(tmp_path, frames, size=(64, 32), suffix='.mp4', codec='mp4v'):
    path = tmp_path / f'video{suffix}'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, size[::-1])
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((*size, 3), 40 + 2 * number, np.uint8))
    writer.release()
    return path.read_bytes()


@pytest.mark.parametrize('suffix', ['.png', '.webp', '.jpg'])
def test_pictures_come_in_rgb_order_and_of_their_own_size(suffix):
    images = [gradient(), gradient(60, 44)]
    found = query_frames([encoded(image, suffix) for image in images], Box())
    for one, image in zip(found, images, strict=True):
        assert one.shape == image.shape
        assert np.abs(one.astype(int) - image).mean() < (0.01 if suffix == '.png' else 8)


def test_gray_pictures_have_three_channels():
    (found,) = query_frames([encoded(gradient()[..., 0])], Box())
    np.testing.assert_array_equal(found, np.repeat(gradient()[..., :1], 3, 2))


@pytest.mark.parametrize('orientation', range(1, 9))
def test_pictures_are_upright_however_a_phone_was_held(orientation):
    image = Image.fromarray(gradient())
    exif = image.getexif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=95, exif=exif, subsampling=0)
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(Image.open(file)), int)
    (found,) = query_frames([file.getvalue()], Box())
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 2


def test_a_box_cuts_every_picture():
    found = query_frames([encoded(gradient()), encoded(gradient(80, 40))], Box(0.25, 0.5, 0.5, 0.5))
    np.testing.assert_array_equal(found[0], gradient()[20:, 5:15])
    np.testing.assert_array_equal(found[1], gradient(80, 40)[40:, 10:30])


@pytest.mark.parametrize('box', ['0,0,0,0', '0.9,0,0.05,1', '2,2,1,1', '-5,0,1,1', '0.5,0.5,-1,-1'])
def test_boxes_with_nothing_inside(box):
    with pytest.raises(DatasetError, match='smaller than 8 pixels'):
        query_frames([encoded(gradient())], parse_box(box))


@pytest.mark.parametrize('text', ['1,2,3', 'a,b,c,d', 'nan,0,1,1', 'inf,0,1,1', '1;2;3;4', ' ,,,'])
def test_text_that_is_no_box(text):
    with pytest.raises(DatasetError, match='is not a box'):
        parse_box(text)


def test_large_persons_are_shrunk():
    (found,) = query_frames([encoded(gradient(3000, 900))], Box())
    assert found.shape == (1024, 307, 3)


def test_a_video_gives_evenly_spaced_frames(tmp_path):
    found = query_frames([video(tmp_path, 100)], Box(0, 0, 1, 0.5))
    assert 16 <= len(found) <= 32
    assert {one.shape for one in found} == {(32, 32, 3)}
    levels = np.array([one.mean() for one in found])
    assert (np.diff(levels) > 4).all()
    assert np.ptp(np.diff(levels)) < 5
    assert len(query_frames([video(tmp_path, 5)], Box())) == 5


def test_other_containers(tmp_path):
    assert len(query_frames([video(tmp_path, 5, suffix='.avi', codec='MJPG')], Box())) == 5


def test_a_video_that_ends_early_is_used_up_to_there(tmp_path):
    content = video(tmp_path, 60, suffix='.avi', codec='MJPG')
    assert 0 < len(query_frames([content[: len(content) // 2]], Box())) <= 32


PLAYLIST = b'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n'
FAKES = {
    'a program': b'\x7fELF' + bytes(200),
    'text': b'not a picture',
    'a vector picture': b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    'a play list': PLAYLIST,
    'a play list of FFmpeg': b'ffconcat version 1.0\nfile /etc/passwd\n',
    'an iPhone picture': b'\0\0\0\x18ftypheic' + bytes(100),
    'a GIF': b'GIF89a' + bytes(100),
    'a TIFF': b'II*\0' + bytes(100),
}


@pytest.mark.parametrize('name', FAKES)
def test_other_files_are_refused_whatever_their_name(name):
    with pytest.raises(DatasetError, match='file 1: is neither'):
        query_frames([FAKES[name]], Box())


@pytest.mark.parametrize(
    'content',
    [b'\0\0\0\x18ftypisom' + PLAYLIST, b'\x1a\x45\xdf\xa3' + PLAYLIST, b'RIFF\0\0\0\0AVI ' + PLAYLIST],
)
def test_what_only_begins_like_a_video(content):
    with pytest.raises(DatasetError, match='no readable frame'):
        query_frames([content], Box())


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.webp'])
def test_damaged_pictures(suffix):
    content = encoded(gradient(200, 100), suffix)
    for end in (12, 40, len(content) // 2):
        with pytest.raises(DatasetError, match='file 1: is not a complete picture'):
            query_frames([content[:end]], Box())


def test_a_tiny_file_that_claims_many_pixels_is_not_decoded():
    content = bytearray(encoded(gradient()))
    content[16:24] = (9000).to_bytes(4, 'big') * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, 'big')
    with pytest.raises(DatasetError, match='file 1: has more than 50 million pixels'):
        query_frames([bytes(content)], Box())


def test_limits(monkeypatch, tmp_path):
    picture = encoded(gradient())
    with pytest.raises(DatasetError, match='33 files are too many'):
        query_frames([picture] * 33, Box())
    with pytest.raises(DatasetError, match='at least one picture'):
        query_frames([], Box())
    monkeypatch.setattr(uploads, 'MAX_PICTURE_BYTES', len(picture) - 1)
    with pytest.raises(DatasetError, match='file 1: is larger than'):
        query_frames([picture], Box())
    film = video(tmp_path, 40)
    with pytest.raises(DatasetError, match='one video, or only pictures'):
        query_frames([film, picture], Box())
    monkeypatch.setattr(uploads, 'MAX_VIDEO_FRAMES', 7)
    assert len(query_frames([film], Box())) == 7
    monkeypatch.setattr(uploads, 'MAX_VIDEO_BYTES', len(film) - 1)
    with pytest.raises(DatasetError, match='the video is larger than'):
        query_frames([film], Box())


def test_empty_files_are_refused():
    with pytest.raises(DatasetError, match='file 2: is empty; choose another one'):
        query_frames([encoded(gradient()), b''], Box())
