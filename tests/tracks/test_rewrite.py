import csv
import json

import numpy as np
import pytest
from track_files import HEADERS, LINES, SIZE, random_boxes, write_coco, write_original

from dscreid.errors import ConfigError, DatasetError
from dscreid.tracks.formats import FORMATS, read_tracks
from dscreid.tracks.rewrite import rewrite_tracks
from dscreid.tracks.track_file import TrackFile


@pytest.mark.parametrize('seed', [0, 1])
@pytest.mark.parametrize('name', FORMATS)
def test_a_rewritten_file_has_the_same_boxes_with_the_new_ids(tmp_path, name, seed):
    rng = np.random.default_rng(seed)
    file, boxes = write_original(tmp_path, name, random_boxes(rng))
    before = read_tracks(file, name)
    assert before.frame.tolist() == [box['frame'] for box in boxes]
    ids = rng.integers(-1, 4, len(boxes)) * 1000
    ids[0] = 2000  # frame 0 stays
    out = tmp_path / 'new' / file.path.name
    rewrite_tracks(file, name, ids, out)
    after = read_tracks(file._replace(path=out), name)
    kept = np.flatnonzero(ids >= 0)
    assert 0 < len(kept) < len(ids)
    assert after.track.tolist() == ids[kept].tolist()
    assert after.frame.tolist() == [boxes[row]['frame'] for row in kept]
    sides = ('left', 'top', 'right', 'bottom')
    np.testing.assert_allclose(after.corners, [[boxes[row][side] for side in sides] for row in kept], atol=1e-9)
    np.testing.assert_array_equal(after.confidence, before.confidence[kept])


@pytest.mark.parametrize('name', LINES)
def test_other_columns_are_as_they_were(tmp_path, name):
    file, boxes = write_original(tmp_path, name, random_boxes(np.random.default_rng(2)))
    rewrite_tracks(file, name, np.arange(len(boxes)) + 500, tmp_path / 'new.txt')
    expected = [LINES[name].format(**box | {'id': 500 + number}) for number, box in enumerate(boxes)]
    header = [HEADERS[name]] if name in HEADERS else []
    assert (tmp_path / 'new.txt').read_text().splitlines() == header + expected


def test_the_other_video_of_a_coco_file_is_left_out(tmp_path):
    boxes = random_boxes(np.random.default_rng(3))
    file = write_coco(tmp_path, boxes)
    rewrite_tracks(file, None, np.arange(len(boxes)), tmp_path / 'new.json')
    content, written = (json.loads(path.read_text()) for path in (file.path, tmp_path / 'new.json'))
    assert written['categories'] == content['categories']
    assert written['videos'] == content['videos'][:1]
    assert written['images'] == content['images'][:20]
    old = [one for one in content['annotations'] if one['video_id'] == 3]
    assert written['annotations'] == [one | {'instance_id': n} for n, one in enumerate(old)]


def test_json_of_supervision(tmp_path):
    rows = [dict(x_min=1, y_min=2, x_max=9, y_max=9, tracker_id=one, frame=f, note={'a': 1}) for f, one in
            enumerate([7, '', 7])]  # fmt: skip
    (tmp_path / 'a.json').write_text(json.dumps(rows))
    file = TrackFile(tmp_path / 'a.json', SIZE, 3)
    assert read_tracks(file).track.tolist() == [7, -1, 7]
    rewrite_tracks(file, None, np.array([3, -1, 4]), tmp_path / 'b.json')
    assert json.loads((tmp_path / 'b.json').read_text()) == [rows[0] | {'tracker_id': 3}, rows[2] | {'tracker_id': 4}]


def test_columns_by_number(tmp_path):
    (tmp_path / 'a.csv').write_text('5,0,1,1,20,40\n\n6,1,1,1,20,40\n')
    columns = dict(id='1', frame='2', left='3', top='4', width='5', height='6')
    rewrite_tracks(TrackFile(tmp_path / 'a.csv', SIZE, 2, columns=columns), None, np.array([8, 9]), tmp_path / 'b.csv')
    with (tmp_path / 'b.csv').open(newline='') as file:
        assert [row[:2] for row in csv.reader(file)] == [['8', '0'], ['9', '1']]


def test_a_folder_is_replaced_only_by_the_same_files(tmp_path):
    file, boxes = write_original(tmp_path, 'ultralytics', random_boxes(np.random.default_rng(4)))
    out = tmp_path / 'linked/gate'
    for first in (1, 50):
        rewrite_tracks(file, None, np.arange(len(boxes)) + first, out)
        assert read_tracks(file._replace(path=out)).track.tolist() == list(range(first, len(boxes) + first))
    assert sorted(path.name for path in out.iterdir()) == sorted(f'gate_{frame}.txt' for frame in range(1, 21))
    assert [path.name for path in out.parent.iterdir()] == ['gate']
    (out / 'thesis.txt').touch()
    with pytest.raises(ConfigError, match=r'linked/gate: contains thesis\.txt, which is not from this video; choose'):
        rewrite_tracks(file, None, np.arange(len(boxes)), out)
    assert (out / 'thesis.txt').exists()


@pytest.mark.parametrize('name', FORMATS)
def test_another_number_of_boxes_is_refused(tmp_path, name):
    file, boxes = write_original(tmp_path, name, random_boxes(np.random.default_rng(5)))
    with pytest.raises(DatasetError, match=rf'has {len(boxes)} boxes, but had {len(boxes) - 1}; restore the file'):
        rewrite_tracks(file, name, np.arange(len(boxes) - 1), tmp_path / 'new.txt')
    assert not (tmp_path / 'new.txt').exists()
