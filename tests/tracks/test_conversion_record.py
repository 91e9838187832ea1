import json
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from dscreid.errors import CheckpointError, DatasetError
from dscreid.structures import Modality
from dscreid.tracks.conversion_record import read_boxes, read_conversion, read_tracklet_of_row
from dscreid.tracks.convert import ConversionSettings, convert
from dscreid.tracks.sources import Source


def source(video, tracks, **settings):
    return Source(video, tracks, 'gate', Modality.RGB, **settings)


@pytest.mark.parametrize('text', ['{', '[]', '{}'])
def test_a_damaged_record_is_named(make_video, make_tracks, tmp_path, text):
    one = source(make_video(), make_tracks())
    convert([one], tmp_path / 'out', ConversionSettings())
    (tmp_path / 'out/.converted/gate_rgb__gate.json').write_text(text)
    with pytest.raises((CheckpointError, DatasetError), match='a record of a converted video'):
        convert([one], tmp_path / 'out', ConversionSettings())


def test_records_are_complete(make_video, make_tracks, tmp_path):
    (video,) = convert([source(make_video(), make_tracks())], tmp_path / 'out', ConversionSettings())
    record = json.loads((tmp_path / 'out/.converted/gate_rgb__gate.json').read_text())
    assert record['num_crops'] == video.num_crops == len(list((tmp_path / 'out').rglob('*/*/*.jpg'))) == 24
    assert video.describe().splitlines() == [
        'gate_rgb/gate: 30 frames, 30 boxes -> 24 crops in 1 tracklets',
        '  boxes left out: 6 more than the rate',
    ]


def test_the_boxes_of_the_tracklets_are_kept(make_video, make_tracks, tmp_path):
    tracks = make_tracks(tracks=[(7, range(3)), (8, range(2, 30)), (9, [*range(10), *range(22, 30)])])
    start = datetime(2026, 3, 1)
    (video,) = convert([source(make_video(), tracks, start_time=start)], tmp_path / 'out', ConversionSettings())
    assert read_conversion(tmp_path / 'out') == {'gate_rgb/gate': video}
    boxes = read_boxes(tmp_path / 'out', video)
    frames = [boxes.frame[boxes.track == number].tolist() for number in range(3)]
    assert frames == [list(range(2, 30)), list(range(10)), list(range(22, 30))]
    assert (boxes.corners == [90, 10, 130, 110]).all()
    assert set(boxes.confidence.tolist()) == {0.9}
    # in view until the last box, although the rate leaves out its crop
    assert [row.end_time for row in video.rows()] == [start + timedelta(seconds=frame / 10) for frame in (29, 9, 29)]
    assert read_conversion(tmp_path) == {}


def test_foreign_or_damaged_boxes_are_named(make_video, make_tracks, tmp_path):
    (video,) = convert([source(make_video(), make_tracks())], tmp_path / 'out', ConversionSettings())
    path = tmp_path / 'out/.converted/gate_rgb__gate.boxes.txt'
    path.write_text(path.read_text() + '1,1,90,10,40,100,0.9,-1,-1,-1')
    with pytest.raises(DatasetError, match='does not fit the record of gate_rgb/gate; convert into a new folder'):
        read_boxes(tmp_path / 'out', video)
    path.unlink()
    with pytest.raises(DatasetError, match='the boxes of gate_rgb/gate are missing'):
        read_boxes(tmp_path / 'out', video)
    assert len(read_boxes(tmp_path / 'out', replace(video, tracklets=[]))) == 0
    record = path.with_name('gate_rgb__gate.json')
    record.with_name('.gate.json.dscreid-partial-01234567.json').touch()  # of a killed process
    record.write_text(record.read_text().replace('"gate_rgb/gate"', '"../gate"'))
    with pytest.raises(DatasetError, match='the name of the video leaves its folder'):
        read_conversion(tmp_path / 'out')


def test_the_tracklet_of_each_row_is_kept(make_video, make_tracks, tmp_path):
    tracks = make_tracks(tracks=[(7, range(3)), (8, range(2, 30)), (9, [*range(10), *range(22, 30)])])
    (video,) = convert([source(make_video(), tracks)], tmp_path / 'out', ConversionSettings())
    expected = [-1] * 3 + [0] * 28 + [1] * 10 + [2] * 8  # of split tracks, the frame decides
    assert read_tracklet_of_row(tmp_path / 'out', video).tolist() == expected


@pytest.mark.parametrize('content', [None, b'', b'no array', np.zeros(3, np.int64), np.full(30, 1), np.zeros(30)])
def test_damaged_rows_are_named(make_video, make_tracks, tmp_path, content):
    (video,) = convert([source(make_video(), make_tracks())], tmp_path / 'out', ConversionSettings())
    path = tmp_path / 'out/.converted/gate_rgb__gate.rows.npy'
    assert read_tracklet_of_row(tmp_path / 'out', video).tolist() == [0] * 30
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(DatasetError, match=r'gate_rgb__gate\.rows\.npy: .*; convert into a new folder'):
        read_tracklet_of_row(tmp_path / 'out', video)
