import base64

import cv2
import numpy as np
import pytest

from dscreid.datasets import HITSZVCM
from dscreid.datasets.packing import pack, plan_packing
from dscreid.datasets.storage import FrameFormat
from dscreid.errors import DatasetError
from dscreid.visualization import TrackletPictures
from dscreid.visualization.pictures import middle_positions


def decode(uri):
    head, _, data = uri.partition(',')
    assert head == 'data:image/jpeg;base64'
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    ('length', 'count', 'expected'),
    [(3, 1, [1]), (24, 1, [12]), (24, 3, [4, 12, 20]), (2, 3, [0, 1]), (1, 1, [0])],
)
def test_middle_positions(length, count, expected):
    assert middle_positions(length, count) == expected


def test_the_middle_frame_is_shown(dataset):
    image = decode(TrackletPictures(dataset)(5))
    assert image.shape == (16, 8, 3)
    assert abs(int(image.mean()) - (7 * 5 + 1)) <= 1


def test_several_frames_stand_side_by_side(dataset):
    image = decode(TrackletPictures(dataset, num_frames=3)(5))
    assert image.shape == (16, 24, 3)


def test_large_frames_are_shrunk(dataset):
    assert decode(TrackletPictures(dataset, max_height=8)(0)).shape == (8, 4, 3)


def test_bad_frames_are_named(dataset):
    pictures = TrackletPictures(dataset)
    (dataset.root / '00_1.png').unlink()
    (dataset.root / '01_1.png').write_text('no image')
    (dataset.root / '02_1.png').write_bytes(b'')
    for index, message in (
        (0, r'00_1\.png: the frame is missing'),
        (1, r'01_1\.png: not a complete image'),
        (2, r'02_1\.png: not a complete image'),
    ):
        with pytest.raises(DatasetError, match=message):
            pictures(index)
    with pytest.raises(DatasetError, match='there is no tracklet 32'):
        pictures(32)


@pytest.mark.parametrize('encoding', ['jpeg', 'raw'])
def test_packed_frames_are_shown(tiny_runs, tmp_path, encoding):
    frame_format = FrameFormat((32, 16), encoding=encoding, quality=95 if encoding == 'jpeg' else None)
    pack(plan_packing('hitsz', tiny_runs.hitsz, frame_format), tmp_path)
    images = []
    for root in (tiny_runs.hitsz, tmp_path):
        pictures = TrackletPictures(HITSZVCM(root, 'test', expected_statistics=None), num_frames=2)
        images.append(np.stack([decode(pictures(index)) for index in range(12)]).astype(int))
    assert np.abs(images[0] - images[1]).mean() < (3 if encoding == 'jpeg' else 1e-9)
