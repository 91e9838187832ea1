from datetime import datetime

import pytest

from dscreid.errors import DatasetError
from dscreid.structures import Modality
from dscreid.tracks.sources import Source, read_sources

HEADER = 'video,tracks,camera,modality,start_time,fps,format,first_frame\n'


def sources(tmp_path, text, header=HEADER):
    path = tmp_path / 'sources.csv'
    path.write_text(header + text)
    return path


def test_all_columns_are_read(tmp_path):
    path = sources(tmp_path, 'a/gate.mp4, /data/t.txt ,gate,ir,2026-03-01T08:30:00,25,mot,0\n')
    (source,) = read_sources(path)
    time = datetime(2026, 3, 1, 8, 30)
    tracks = tmp_path / '/data/t.txt'
    assert source == Source(tmp_path / 'a/gate.mp4', tracks, 'gate', Modality.IR, time, 25.0, 'mot', 0, f'{path}:2')
    assert source.folder == 'gate_ir'


def test_four_columns_suffice_and_a_camera_can_have_both_modalities(tmp_path):
    text = 'a.mp4,a.txt,gate,rgb\nb.mp4,b.txt,gate,ir\n'
    first, second = read_sources(sources(tmp_path, text, 'video,tracks,camera,modality\n'))
    assert (first.folder, second.folder) == ('gate_rgb', 'gate_ir')
    assert (first.start_time, first.fps, first.format, first.first_frame) == (None, None, None, None)


def test_a_camera_can_have_several_videos_at_different_times(tmp_path):
    text = 'a.mp4,a.txt,gate,rgb,2026-03-01T08:00,,,\nb.mp4,b.txt,gate,rgb,2026-03-01T09:00,,,\n'
    assert len(read_sources(sources(tmp_path, text))) == 2


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('b.mp4,b.txt,,rgb,,,,', 'the column camera is empty'),
        ('b.mp4,b.txt,yard,thermal,,,,', "the modality is 'thermal'; write rgb or ir"),
        ('b.mp4,b.txt,../x,rgb,,,,', "camera '../x' cannot be the name of a folder"),
        ('b.mp4,b.txt,.x,rgb,,,,', "camera '.x' cannot be the name of a folder"),
        ('b.mp4,b.txt,yard,rgb,noon,,,', "'noon' is not a time such as"),
        ('b.mp4,b.txt,yard,rgb,,fast,,', "fps is 'fast'; write frames per second"),
        ('b.mp4,b.txt,yard,rgb,,0,,', "fps is '0'; write frames per second"),
        ('b.mp4,b.txt,yard,rgb,,,,2', "first_frame is '2'; write 0 or 1"),
        ('b.mp4,b.txt,yard,rgb,,,,,x', 'more cells than columns'),
        ('b.mp4,b.txt,gate,rgb,,,,', r"camera 'gate' \(rgb\) is also in .*:2; if it is one camera, give both videos"),
        ('a.mp4,a.txt,yard,rgb,,,,', 'video and tracks are also in .*:2; remove one line'),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    path = sources(tmp_path, f'a.mp4,a.txt,gate,rgb,,,,\n{line}\n')
    with pytest.raises(DatasetError, match=message) as error:
        read_sources(path)
    assert str(error.value).startswith(f'{path}:3: ')


def test_bad_headers_are_named(tmp_path):
    with pytest.raises(DatasetError, match=':1: the column modality is missing; known are video'):
        read_sources(sources(tmp_path, '', 'video,tracks,camera\n'))
    with pytest.raises(DatasetError, match=":1: unknown column 'place'"):
        read_sources(sources(tmp_path, '', HEADER.strip() + ',place\n'))
    with pytest.raises(DatasetError, match='names no video'):
        read_sources(sources(tmp_path, ''))
    with pytest.raises(DatasetError, match='the file is missing'):
        read_sources(tmp_path / 'absent.csv')
