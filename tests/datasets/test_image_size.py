"""Sizes from headers agree with OpenCV's decoder for every kind of file."""

import io

import cv2
import numpy as np
import pytest
from image_files import with_size
from PIL import Image

from dscreid.datasets.image_size import MAX_PIXELS, image_size, is_too_large


def encode(kind, size, *options):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return cv2.imencode(kind, pixels, options)[1].tobytes()


@pytest.mark.parametrize('kind', ['.jpg', '.png', '.bmp', '.webp', '.tiff'])
@pytest.mark.parametrize('size', [(1, 1), (20, 12), (300, 700)])
def test_size_is_that_of_the_decoder(kind, size):
    content = encode(kind, size)
    assert image_size(content) == size == cv2.imdecode(np.frombuffer(content, np.uint8), -1).shape[:2]
    assert image_size(memoryview(content)) == size


def test_progressive_and_padded_jpegs():
    content = encode('.jpg', (300, 700), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert image_size(content) == (300, 700)
    assert image_size(content[:2] + b'\xff\xff' + content[2:]) == (300, 700)


@pytest.mark.parametrize(
    'content', [b'', b'no image', b'\xff\xd8', encode('.jpg', (20, 12))[:20], encode('.png', (2, 2))[:20]]
)
def test_no_size(content):
    assert image_size(content) is None
    assert not is_too_large(None)


@pytest.mark.parametrize('kind', ['.jpg', '.png'])
def test_a_claimed_size_is_read_as_it_is(kind):
    content = with_size(encode(kind, (20, 12)), 65_500, 65_499)
    assert image_size(content) == (65_500, 65_499)
    assert is_too_large(image_size(content))


def test_limit():
    assert not is_too_large((10_000, MAX_PIXELS // 10_000))
    assert is_too_large((10_000, MAX_PIXELS // 10_000 + 1))


def test_other_kinds_beyond_the_limit():
    stream = io.BytesIO()
    Image.new('1', (30_000, 30_000)).save(stream, 'TIFF', compression='group4')
    assert len(stream.getvalue()) < 100_000
    assert is_too_large(image_size(stream.getvalue()))
