import sys

import numpy as np
import pytest

from dscreid.deployment.query_part import PixelBox, has_end, parse_frames, parse_pixel_box
from dscreid.errors import DatasetError


@pytest.mark.parametrize(
    ('text', 'box'),
    [
        ('1,2,30,40', PixelBox(1, 2, 30, 40)),
        (' 1 , 2 , 30 , 40 ', PixelBox(1, 2, 30, 40)),
        ('0,0,0,0', PixelBox(0, 0, 0, 0)),
        # edges are rounded, not sizes: 10.4 to 20.8 is 10 to 21
        ('10.4,10.6,10.4,10.8', PixelBox(10, 11, 11, 10)),
    ],
)
def test_boxes(text, box):
    assert parse_pixel_box(text) == box


@pytest.mark.parametrize('text', ['', '1,2,3', '1,2,3,4,5', '-1,0,9,9', 'a,b,c,d', '1;2;3;4', 'nan,0,9,9', '1e9,0,9,9'])
def test_text_that_is_no_box(text):
    with pytest.raises(ValueError, match='is not a box such as 412,80,96,240'):
        parse_pixel_box(text)


def test_frames():
    assert list(parse_frames('3-5')) == [3, 4, 5]
    assert list(parse_frames('7-7')) == [7]
    assert parse_frames('2-') == range(2, sys.maxsize)
    assert has_end(parse_frames('3-5'))
    assert not has_end(parse_frames('3-'))


@pytest.mark.parametrize('text', ['', '5', '-5', '5-3', '1-2-3', 'a-b', '1.5-2'])
def test_text_that_is_no_frames(text):
    with pytest.raises(ValueError, match='is not a range of frames such as 120-180'):
        parse_frames(text)


def test_a_box_cuts_up_to_the_edges():
    image = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    np.testing.assert_array_equal(PixelBox(5, 6, 10, 9).cut(image), image[6:15, 5:15])
    np.testing.assert_array_equal(PixelBox(0, 0, 30, 20).cut(image), image)
    np.testing.assert_array_equal(PixelBox(22, 12, 8, 8).cut(image), image[12:, 22:])


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        (PixelBox(22, 0, 9, 9), 'the box 22,0,9,9 leaves the picture of 30x20 pixels; choose LEFT,TOP,WIDTH,HEIGHT'),
        (PixelBox(0, 11, 10, 10), 'leaves the picture of 30x20 pixels'),
        (PixelBox(-1, 0, 10, 10), 'leaves the picture of 30x20 pixels'),
        (PixelBox(0, 0, 7, 20), 'the box 0,0,7,20 in the picture of 30x20 pixels is smaller than 8 pixels'),
        (PixelBox(0, 0, 30, 0), 'is smaller than 8 pixels'),
    ],
)
def test_boxes_that_do_not_fit(box, message):
    with pytest.raises(DatasetError, match=message):
        box.cut(np.zeros((20, 30, 3), np.uint8))
