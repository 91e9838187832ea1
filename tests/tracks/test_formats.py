import json

import numpy as np
import pytest

from dscreid.errors import ConfigError, DatasetError, MissingFileError
from dscreid.tracks.formats import FORMATS, detect_format, read_tracks
from dscreid.tracks.track_file import TrackFile

# frame (from 0), id, left, top, width, height, confidence
BOXES = [
    (0, 3, 10.5, 20.0, 30.0, 60.0, 0.5),
    (1, 3, 11.0, 20.0, 30.0, 60.0, 0.75),
    (1, 0, 100.0, 5.0, 20.0, 50.0, 0.25),
]


def file_with(tmp_path, text, name='tracks.txt', **options):
    path = tmp_path / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return TrackFile(path, size=(200, 100), num_frames=options.pop('num_frames', 10), **options)


def lines(template, boxes=BOXES, header=''):
    fields = ('frame', 'id', 'left', 'top', 'width', 'height', 'confidence')
    rows = [dict(zip(fields, box, strict=True)) for box in boxes]
    for row in rows:
        row |= {'right': row['left'] + row['width'], 'bottom': row['top'] + row['height'], 'one': row['frame'] + 1}
    return header + ''.join(template.format(**row) + '\n' for row in rows)


def assert_boxes(found, with_confidence=True):
    order = np.lexsort((-found.track, found.frame))
    table = np.column_stack([found.frame, found.track, found.corners[:, :2], found.width, found.height])[order]
    np.testing.assert_allclose(table, [box[:6] for box in BOXES], atol=1e-9)
    if with_confidence:
        np.testing.assert_allclose(found.confidence[order], [box[6] for box in BOXES])
    else:
        assert np.isnan(found.confidence).all()


@pytest.mark.parametrize(
    ('template', 'name'),
    [
        ('{one},{id},{left},{top},{width},{height},{confidence}', 'mot'),
        ('{one},{id},{left},{top},{width},{height},{confidence},-1,-1,-1', 'mot'),
        ('{one} {id} {left} {top} {width} {height} {confidence} -1 -1 -1', 'mot'),
        ('{one},{id},{left},{top},{width},{height},{confidence},0,-1', 'boxmot-mot'),
    ],
)
def test_unambiguous_tables_are_detected(tmp_path, template, name):
    file = file_with(tmp_path, lines(template))
    assert detect_format(file) == name
    assert_boxes(read_tracks(file))


def test_nine_columns_with_ones_are_refused_with_both_readings(tmp_path):
    file = file_with(tmp_path, lines('{one},{id},{left},{top},{width},{height},1,1,{confidence}'))
    with pytest.raises(
        DatasetError, match=r'can be read as "mot-gt: .* or "boxmot-results: .*choose one with --format'
    ):
        read_tracks(file)
    assert_boxes(read_tracks(file, 'boxmot-results'))
    assert_boxes(read_tracks(file, 'mot-gt'), with_confidence=False)


def test_ground_truth_leaves_out_what_is_not_considered(tmp_path):
    text = lines('{one},{id},{left},{top},{width},{height},1,1,1') + '5,9,1,1,20,40,0,7,1\n'
    file = file_with(tmp_path, text)
    assert detect_format(file) == 'mot-gt'
    assert_boxes(read_tracks(file), with_confidence=False)


@pytest.mark.parametrize('columns', [5, 8, 10])
def test_other_tables_are_refused(tmp_path, columns):
    file = file_with(tmp_path, ','.join(['1'] * columns))
    with pytest.raises(DatasetError, match=f':1: {columns} columns fit no known format; name the columns'):
        read_tracks(file)


def test_a_format_with_another_number_of_columns_is_refused(tmp_path):
    file = file_with(tmp_path, lines('{one},{id},{left},{top},{width},{height},{confidence}'))
    with pytest.raises(DatasetError, match='7 columns, but the format has 9'):
        read_tracks(file, 'mot-gt')


def test_boxmot_csv(tmp_path):
    header = 'frame,x1,y1,x2,y2,id,conf,cls,det_ind\n'
    text = lines('{frame},{left},{top},{right},{bottom},{id},{confidence},0,1', header=header)
    assert_boxes(read_tracks(file_with(tmp_path, text, 'a.csv')))
    text = lines('{left},{top},{right},{bottom},{id},{confidence},0,1', header=header.partition(',')[2])
    with pytest.raises(DatasetError, match='no column "frame"; save it again'):
        read_tracks(file_with(tmp_path, text, 'b.csv'))


@pytest.mark.parametrize('kind', ['csv', 'json'])
@pytest.mark.parametrize('frame', ['frame', 'frame_index'])
def test_supervision(tmp_path, kind, frame):
    header = f'x_min,y_min,x_max,y_max,class_id,confidence,tracker_id,{frame}\n'
    text = lines('{left},{top},{right},{bottom},0,{confidence},{id},{frame}', header=header)
    text += '1,1,50,50,0,0.9,,2\n'
    if kind == 'json':
        first, *rest = text.splitlines()
        text = [dict(zip(first.split(','), line.split(','), strict=True)) for line in rest]
    found = read_tracks(file_with(tmp_path, text, f'a.{kind}'))
    assert found.track.tolist() == [3, 3, 0, -1]
    assert_boxes(found.take(found.track >= 0))


def test_supervision_without_a_frame_is_refused(tmp_path):
    header = 'x_min,y_min,x_max,y_max,class_id,confidence,tracker_id,time\n'
    text = lines('{left},{top},{right},{bottom},0,{confidence},{id},{frame}', header=header)
    with pytest.raises(DatasetError, match='no column is the frame; name it with --columns frame=NAME'):
        read_tracks(file_with(tmp_path, text, 'a.csv'))
    assert_boxes(read_tracks(file_with(tmp_path, text, 'a.csv', columns={'frame': 'time'})))
    header = header.replace('time', 'frame,frame_id')
    both = lines('{left},{top},{right},{bottom},0,{confidence},{id},{frame},{frame}', header=header)
    with pytest.raises(DatasetError, match=r'several columns can be the frame \(frame, frame_id\)'):
        read_tracks(file_with(tmp_path, both, 'a.csv'))


def test_ultralytics(tmp_path):
    folder = tmp_path / 'labels'
    folder.mkdir()
    for frame in (0, 1):
        text = ''
        for _, track, left, top, width, height, confidence in (box for box in BOXES if box[0] == frame):
            center = ((left + width / 2) / 200, (top + height / 2) / 100)
            text += f'0 {center[0]} {center[1]} {width / 200} {height / 100} {confidence} {track}\n'
        (folder / f'gate_{frame + 1}.txt').write_text(text)
    (folder / 'gate_3.txt').write_text('')
    file = TrackFile(folder, (200, 100), 10, video='gate.mp4')
    assert_boxes(read_tracks(file))
    (folder / 'yard_1.txt').write_text('0 0.5 0.5 0.1 0.1 0.9 8\n')
    assert_boxes(read_tracks(file))
    with pytest.raises(DatasetError, match=r"no file NAME_FRAME\.txt of 'door', but of gate, yard"):
        read_tracks(file._replace(video='door.mp4'))


@pytest.mark.parametrize(
    ('sixth', 'message'),
    [
        (['0.5', '1'], 'the sixth values are confidences, so the boxes have no ids'),
        (['1', '1'], 'the sixth values can be ids or confidences of 1; save again with save_conf=True'),
    ],
)
def test_six_values_of_ultralytics(tmp_path, sixth, message):
    text = ''.join(f'0 0.5 0.5 0.1 0.1 {value}\n' for value in sixth)
    (tmp_path / 'gate_1.txt').write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_tracks(TrackFile(tmp_path, (200, 100), 10))
    (tmp_path / 'gate_1.txt').write_text(text + '0 0.5 0.5 0.1 0.1 7\n')
    if message.startswith('the sixth values can'):
        assert read_tracks(TrackFile(tmp_path, (200, 100), 10)).track.tolist() == [1, 1, 7]


def test_detections_of_ultralytics_are_refused(tmp_path):
    (tmp_path / 'gate_1.txt').write_text('0 0.5 0.5 0.1 0.1\n')
    with pytest.raises(DatasetError, match=r'lines have 5 values, but those of tracked boxes have 6'):
        read_tracks(TrackFile(tmp_path, (200, 100), 10))


def coco(videos=('gate',)):
    images = [dict(id=10 * v + f, frame_id=f, video_id=v, file_name='') for v in range(len(videos)) for f in range(3)]
    fields = [dict(image_id=f, instance_id=i, bbox=list(box), score=c, video_id=0) for f, i, *box, c in BOXES]
    others = [dict(image_id=10, instance_id=99, bbox=[0, 0, 9, 9], video_id=1)] if len(videos) > 1 else []
    return dict(
        videos=[dict(id=v, name=name) for v, name in enumerate(videos)], images=images, annotations=fields + others
    )


def test_cocovid(tmp_path):
    assert_boxes(read_tracks(file_with(tmp_path, coco(), 'a.json')))
    file = file_with(tmp_path, coco(('gate', 'yard')), 'a.json', video='gate')
    assert_boxes(read_tracks(file))
    with pytest.raises(DatasetError, match="no video is named 'door'; its videos are gate, yard"):
        read_tracks(file._replace(video='door'))
    with pytest.raises(DatasetError, match='not a CocoVID file'):
        read_tracks(file_with(tmp_path, {'images': 3}, 'b.json'))


def test_any_csv_by_named_or_numbered_columns(tmp_path):
    text = lines(
        '{confidence};{frame};{id};{left};{top};{width};{height}'.replace(';', ','), header='p,t,who,x,y,w,h\n'
    )
    columns = dict(frame='t', id='who', left='x', top='y', width='w', height='h', confidence='p')
    assert_boxes(read_tracks(file_with(tmp_path, text, 'a.csv', columns=columns)))
    numbers = {role: str(number) for number, role in enumerate(('confidence', *list(columns)[:6]), 1)}
    assert_boxes(read_tracks(file_with(tmp_path, text.partition('\n')[2], 'b.csv', columns=numbers)))


@pytest.mark.parametrize(
    ('columns', 'error', 'message'),
    [
        (dict(frame='t', id='who', left='x'), ConfigError, '--columns: height, top, width missing'),
        (dict(frame='t', id='who', left='x', top='y', right='w'), ConfigError, 'height, width missing'),
        (dict(frame='t', id='who', score='p'), ConfigError, '--columns: unknown score; known are frame, id'),
        (dict(frame='t', id='q', left='x', top='y', width='w', height='h'), DatasetError, ":2: no value in column 'q'"),
    ],
)
def test_wrong_columns_are_named(tmp_path, columns, error, message):
    text = lines('{frame},{id},{left},{top},{width},{height}', header='t,who,x,y,w,h\n')
    with pytest.raises(error, match=message):
        read_tracks(file_with(tmp_path, text, 'a.csv', columns=columns))


@pytest.mark.parametrize(
    ('frames', 'num_frames', 'option', 'expected'),
    [
        ((0, 4), 10, None, (0, 4)),
        ((1, 10), 10, None, (0, 9)),
        ((2, 10), 10, None, (1, 9)),
        ((1, 4), 10, 0, (1, 4)),
        ((1, 4), 10, 1, (0, 3)),
        ((1, 4), 10, None, 'frames 1 to 4 can count from 0 or from 1; choose with --first-frame'),
        ((0, 4), 10, 1, 'frame 0 is before the first one, 1; if the tracker counted from 0'),
    ],
)
def test_frames_count_from_zero_or_one(tmp_path, frames, num_frames, option, expected):
    text = 'f,i,x,y,w,h\n' + ''.join(f'{frame},1,0,0,9,9\n' for frame in frames)
    columns = dict(frame='f', id='i', left='x', top='y', width='w', height='h')
    file = file_with(tmp_path, text, 'a.csv', columns=columns, first_frame=option, num_frames=num_frames)
    if isinstance(expected, str):
        with pytest.raises(DatasetError, match=expected):
            read_tracks(file)
    else:
        assert tuple(read_tracks(file).frame) == expected


def test_a_mot_file_from_frame_zero_needs_the_option(tmp_path):
    file = file_with(tmp_path, lines('{frame},{id},{left},{top},{width},{height},{confidence}'))
    with pytest.raises(DatasetError, match='--first-frame 0'):
        read_tracks(file)
    assert_boxes(read_tracks(file._replace(first_frame=0)))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'contains no box'),
        ('1,2,3\n1,2\n', ':2: 2 values, but 3 in the first line'),
        ('1,1,2,3,4,5,0.5\nx\n', ':2: not a line of numbers'),
        ('1.5,1,2,3,4,5,0.5\n', 'frame 1.5 of box 1 is not a whole number'),
        ('1,1e30,2,3,4,5,0.5\n', 'id 1e[+]30 of box 1 is not a whole number'),
        ('1,1,2,3,nan,5,0.5\n', 'box 1 has a coordinate that is not a number'),
    ],
)
def test_malformed_tables(tmp_path, text, message):
    with pytest.raises(DatasetError, match=message):
        read_tracks(file_with(tmp_path, text))


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(MissingFileError, match=r'absent\.txt: the file is missing; correct its path'):
        read_tracks(TrackFile(tmp_path / 'absent.txt', (9, 9), 1))
    (tmp_path / 'video.txt').write_bytes(b'\xff\xd8\xff')
    with pytest.raises(DatasetError, match='not a UTF-8 text file'):
        read_tracks(TrackFile(tmp_path / 'video.txt', (9, 9), 1))
    with pytest.raises(DatasetError, match='not valid JSON'):
        read_tracks(file_with(tmp_path, '{', 'a.json'))
    with pytest.raises(DatasetError, match='unknown columns a, b; name frame, id and box with --columns'):
        read_tracks(file_with(tmp_path, 'a,b\n1,2\n', 'a.csv'))
    with pytest.raises(ConfigError, match='unknown format'):
        read_tracks(file_with(tmp_path, '1'), 'kitti')
    assert len(FORMATS) == 9
