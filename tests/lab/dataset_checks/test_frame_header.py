"""Structure checks agree with a decoder on whole, cut and foreign files."""

import os

import cv2
import numpy as np
import pytest
from image_files import with_size

from dscreid.datasets.decoding import decode_with_cv2
from dscreid.lab.dataset_checks.frame_header import read_header

SIZES = [(1, 1), (16, 8), (64, 32), (288, 144)]


def encode(kind, size, seed=0, *options):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return cv2.imencode(kind, pixels, list(options))[1].tobytes()


@pytest.fixture
def header(tmp_path):
    def read(content):
        path = tmp_path / 'frame'
        path.write_bytes(content)
        return read_header(str(path))

    return read


@pytest.mark.parametrize('kind', ['.jpg', '.png', '.bmp'])
@pytest.mark.parametrize('size', SIZES)
def test_whole_files(header, kind, size):
    content = encode(kind, size)
    found = header(content)
    assert (found.fault, found.size, found.num_bytes) == (None, size, len(content))
    assert header(content + bytes(10_000)).fault is None


def test_progressive_jpegs(header):
    content = encode('.jpg', (288, 144), 0, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert header(content).fault is None
    assert header(content[:-2]).fault == 'truncated'


@pytest.mark.parametrize('kind', ['.jpg', '.png'])
@pytest.mark.parametrize('size', SIZES[1:])
def test_every_cut_is_found(header, kind, size):
    content = encode(kind, size)
    rng = np.random.default_rng(1)
    cuts = {
        *range(1, 40),
        *range(len(content) - 12, len(content)),
        *rng.integers(1, len(content), 60).tolist(),
    }
    for length in sorted(cuts):
        if length < len(content):
            cut = content[:length]
            assert header(cut).fault is not None, length
            assert decode_with_cv2(cut) is None or kind == '.png'


def test_the_end_marker_may_lie_across_the_two_reads(header):
    """Sizes around the lengths of the reads, so that the marker is split at each place."""
    content = encode('.jpg', (16, 8))
    for total in [*range(4090, 4104), *range(4600, 4616)]:
        filler = total - len(content) - 4
        padded = content[:2] + b'\xff\xfe' + (filler + 2).to_bytes(2, 'big') + bytes(filler) + content[2:]
        assert len(padded) == total
        assert header(padded).fault is None
        assert header(padded[:-1]).fault is not None


def test_a_preview_in_the_metadata_does_not_count(header):
    content, preview = encode('.jpg', (64, 32)), encode('.jpg', (16, 8))
    block = b'\xff\xe1' + (len(preview) + 2).to_bytes(2, 'big') + preview
    whole = content[:2] + block + content[2:]
    assert (header(whole).fault, header(whole).size) == (None, (64, 32))
    assert header(whole[:-2]).fault == 'truncated'


@pytest.mark.parametrize(
    ('content', 'fault'),
    [
        (b'', 'zero bytes'),
        (b'no image at all', 'no image'),
        (b'\xff\xd8\xff\xe0garbage\xff\xd9', 'truncated or malformed header'),
        (b'\xff\xd8' + b'\xff' * 9000, 'truncated or malformed header'),
        (b'\x89PNG\r\n\x1a\n', 'truncated or malformed header'),
    ],
)
def test_no_images(header, content, fault):
    assert header(content).fault == fault


@pytest.mark.parametrize('kind', ['.jpg', '.png'])
def test_a_size_that_would_fill_the_memory_is_a_fault(header, kind):
    found = header(with_size(encode(kind, (16, 8)), 65_500, 65_500))
    assert (found.fault, found.size) == ('claims more than 100 million pixels', None)
    assert header(with_size(encode(kind, (16, 8)), 8, 16)).fault is None


@pytest.mark.timeout(10)
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    assert read_header(str(tmp_path / 'none')).fault == 'missing'
    assert read_header(str(tmp_path)).fault == 'unreadable'
    assert read_header(str(tmp_path / 'pipe')).fault == 'unreadable'


def test_equal_files_have_equal_digests_and_one_flipped_byte_at_an_end_another(header):
    content = encode('.png', (64, 32))
    flipped = bytearray(content)
    flipped[-20] ^= 1
    assert header(content).digest == header(content).digest != header(bytes(flipped)).digest
