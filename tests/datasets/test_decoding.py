import io

import cv2
import numpy as np
import pytest
from image_files import with_size
from PIL import Image

from dscreid.datasets import decoding
from dscreid.datasets.decoding import (
    MAX_PIXELS,
    available_decoders,
    choose_decoder,
    decode_frame,
    decode_with_cv2,
    image_size,
    is_too_large,
    jpeg_scale,
)
from dscreid.datasets.storage import FolderFrames
from dscreid.datasets.transforms import LoadFrames
from dscreid.errors import ConfigError, FrameError

every_decoder = pytest.mark.parametrize('decode', available_decoders().values(), ids=available_decoders())
SUBSAMPLING = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)


def picture(height, width, seed=0):
    """Smooth random colours."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def encode(image, extension='.jpg', *options):
    return cv2.imencode(extension, image, options)[1].tobytes()


@every_decoder
@pytest.mark.parametrize('extension', ['.png', '.bmp', '.webp'])
def test_other_kinds_of_files(decode, extension):
    image = picture(20, 12)
    options = (cv2.IMWRITE_WEBP_QUALITY, 101) if extension == '.webp' else ()  # 101: lossless
    np.testing.assert_array_equal(decode(encode(image, extension, *options))[..., ::-1], image)


@every_decoder
def test_a_grey_file_stays_one_channel(decode):
    image = picture(21, 13)[..., 0]
    decoded = decode(encode(image, '.jpg', cv2.IMWRITE_JPEG_QUALITY, 100))
    assert decoded.shape == (21, 13)
    assert np.abs(decoded.astype(int) - image).max() <= 2


@every_decoder
def test_transparency_is_dropped(decode):
    image = np.dstack([picture(20, 12), np.full((20, 12), 90, np.uint8)])
    np.testing.assert_array_equal(decode(encode(image, '.png'))[..., ::-1], image[..., :3])


@every_decoder
@pytest.mark.parametrize('at_least', [None, (288, 144), (100, 40), (33, 17)])
@pytest.mark.parametrize('options', [*((cv2.IMWRITE_JPEG_SAMPLING_FACTOR, s) for s in SUBSAMPLING), ()])
@pytest.mark.parametrize('progressive', [0, 1])
def test_decoders_give_the_pixels_of_opencv(decode, at_least, options, progressive):
    image = picture(301, 155)
    options = (*options, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    for content in (encode(image, '.jpg', *options), encode(image[..., 0], '.jpg', *options[-2:])):
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        if at_least is not None:
            scale = jpeg_scale(image.shape[:2], at_least)
            flag = {1: cv2.IMREAD_COLOR, 2: 17, 4: 33, 8: 65}[scale]
            expected = cv2.imdecode(np.frombuffer(content, np.uint8), flag)[..., ::-1]
            assert expected.shape[0] >= at_least[0]
            assert expected.shape[1] >= at_least[1]
        decoded = decode(content, at_least)
        decoded = np.repeat(decoded[..., None], 3, 2) if decoded.ndim == 2 else decoded
        np.testing.assert_array_equal(decoded, expected)


@every_decoder
def test_mapped_bytes_are_taken(decode):
    content = encode(picture(20, 12))
    view = memoryview(np.frombuffer(content, np.uint8))
    np.testing.assert_array_equal(decode(view), decode(content))


@every_decoder
@pytest.mark.parametrize('content', [b'', b'\xff\xd8', b'\xff\xd8\xff', b'no image', b'\xff\xd8\xff\xe0\0\0'])
@pytest.mark.parametrize('at_least', [None, (1, 1)])
def test_no_image(decode, content, at_least):
    assert decode(content, at_least) is None


@every_decoder
def test_a_cut_off_jpeg_is_none(decode):
    content = encode(picture(200, 100))
    for length in (len(content) - 2, len(content) // 2, 300):
        assert decode(content[:length]) is None


@every_decoder
def test_rotation_in_the_metadata_is_ignored(decode):
    content = encode(picture(20, 12))
    orientation = b'\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    rotated = content[:2] + orientation + content[2:]
    assert cv2.imdecode(np.frombuffer(rotated, np.uint8), cv2.IMREAD_COLOR).shape == (12, 20, 3)
    np.testing.assert_array_equal(decode(rotated), decode(content))


def test_images_that_claim_too_many_pixels_are_not_decoded(tmp_path, monkeypatch):
    content = with_size(encode(picture(20, 12)), 65_500, 65_500)
    assert len(content) < 1000
    (tmp_path / 'bomb.jpg').write_bytes(content)
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('was decoded'))
    for decode in available_decoders().values():
        assert decode(content) is None
        assert decode(content, (288, 144)) is None
        with pytest.raises(FrameError, match=r'bomb\.jpg: claims more than 100 million pixels; '):
            decode_frame(FolderFrames(tmp_path), 'bomb.jpg', decode)


@pytest.mark.parametrize(
    ('size', 'at_least', 'scale'),
    [
        ((576, 288), (288, 144), 2),
        ((575, 287), (288, 144), 2),  # sides are rounded up
        ((574, 288), (288, 144), 1),
        ((576, 286), (288, 144), 1),
        ((1152, 576), (288, 144), 4),
        ((800, 800), (288, 144), 2),
        ((800, 800), (100, 100), 8),
        ((9000, 9000), (10, 10), 8),
        ((100, 50), (288, 144), 1),
    ],
)
def test_scale_never_falls_below_the_target(size, at_least, scale):
    assert jpeg_scale(size, at_least) == scale
    assert jpeg_scale(size, None) == 1
    if size == (800, 800):
        assert max(decode_with_cv2(encode(np.zeros(size, np.uint8)), at_least).shape) == 800 // scale


@pytest.fixture
def messages(monkeypatch):
    said = []
    monkeypatch.setattr(decoding, 'print_log', lambda message, **options: said.append(message))
    decoding._fastest.cache_clear()
    yield said
    decoding._fastest.cache_clear()


def test_without_simplejpeg_opencv_is_taken_and_said_once(messages, monkeypatch):
    monkeypatch.setattr(decoding, 'simplejpeg', None)
    for _ in range(3):
        assert LoadFrames().backend == 'cv2'
    assert len(messages) == 1
    assert 'OpenCV; pip install simplejpeg' in messages[0]
    with pytest.raises(ConfigError, match='needs the package simplejpeg'):
        choose_decoder('turbojpeg')
    assert choose_decoder('cv2') == ('cv2', decode_with_cv2)


def test_with_simplejpeg_it_is_taken_and_said_once(messages):
    pytest.importorskip('simplejpeg')
    for _ in range(3):
        assert LoadFrames().backend == 'turbojpeg'
    assert len(messages) == 1
    assert 'simplejpeg' in messages[0]


def test_what_libjpeg_turbo_refuses_is_left_to_opencv(monkeypatch):
    simplejpeg = pytest.importorskip('simplejpeg')
    content = encode(picture(20, 12))

    def refuse(*arguments, **options):
        raise ValueError('CMYK')

    monkeypatch.setattr(simplejpeg, 'decode_jpeg', refuse)
    np.testing.assert_array_equal(decoding.decode_with_turbojpeg(content), decode_with_cv2(content))


# sizes from headers


@pytest.mark.parametrize('kind', ['.jpg', '.png', '.bmp', '.webp', '.tiff'])
@pytest.mark.parametrize('size', [(1, 1), (20, 12), (300, 700)])
def test_size_is_that_of_the_decoder(kind, size):
    content = encode(picture(*size), kind)
    assert image_size(content) == size == cv2.imdecode(np.frombuffer(content, np.uint8), -1).shape[:2]
    assert image_size(memoryview(content)) == size


def test_progressive_and_padded_jpegs():
    content = encode(picture(300, 700), '.jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert image_size(content) == (300, 700)
    assert image_size(content[:2] + b'\xff\xff' + content[2:]) == (300, 700)


@pytest.mark.parametrize(
    'content', [b'', b'no image', b'\xff\xd8', encode(picture(20, 12))[:20], encode(picture(2, 2), '.png')[:20]]
)
def test_no_size(content):
    assert image_size(content) is None
    assert not is_too_large(None)


@pytest.mark.parametrize('kind', ['.jpg', '.png'])
def test_a_claimed_size_above_the_limit_is_noticed(kind):
    content = with_size(encode(picture(20, 12), kind), 65_500, 65_499)
    assert is_too_large(image_size(content))


def test_limit():
    assert not is_too_large((10_000, MAX_PIXELS // 10_000))
    assert is_too_large((10_000, MAX_PIXELS // 10_000 + 1))


def test_other_kinds_beyond_the_limit():
    stream = io.BytesIO()
    Image.new('1', (30_000, 30_000)).save(stream, 'TIFF', compression='group4')
    assert len(stream.getvalue()) < 100_000
    assert is_too_large(image_size(stream.getvalue()))
