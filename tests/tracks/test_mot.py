import numpy as np
import pytest

from dscreid.errors import DatasetError
from dscreid.tracks.boxes import from_columns
from dscreid.tracks.formats import read_tracks
from dscreid.tracks.mot import read_mot, write_mot
from dscreid.tracks.track_file import TrackFile


def test_boxes_return_in_the_order_of_frames(tmp_path):
    corners = [[5.25, -3.125, 40, 90], [1e-4, 7, 123456.789, 2], [0, 0, 1, 1]]
    boxes = from_columns([4, 0, 4], [9, 2, 3], corners, [0.123456, np.nan, 1])
    path = tmp_path / 'new/gate.txt'
    write_mot(path, boxes)
    assert path.read_text().splitlines()[:2] == [
        '1,2,0,7,123456.789,2,1,-1,-1,-1',
        '5,3,0,0,1,1,1,-1,-1,-1',
    ]
    for found in (read_mot(path), read_tracks(TrackFile(path, (160, 120), 9))):
        assert found.frame.tolist() == [0, 4, 4]
        assert found.track.tolist() == [2, 3, 9]
        np.testing.assert_allclose(found.corners, boxes.corners[[1, 2, 0]], atol=1e-3)
        np.testing.assert_allclose(found.confidence, [1, 1, 0.123456])


def test_no_box_is_an_empty_file(tmp_path):
    write_mot(tmp_path / 'gate.txt', from_columns([], [], []))
    assert (tmp_path / 'gate.txt').read_text() == ''
    with pytest.raises(DatasetError, match='contains no box'):
        read_mot(tmp_path / 'gate.txt')
