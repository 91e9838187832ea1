from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscreid.datasets.tracklet_table import TrackletRow, find_table, parse_time, read_table, write_table
from dscreid.errors import DatasetError, MissingFileError
from dscreid.structures import Modality

HEADER = 'tracklet,camera,modality,folder,frames,start_time,end_time,person,split\n'


def table(tmp_path, text, header=HEADER):
    path = tmp_path / 'tracklets.csv'
    path.write_text(header + text, encoding='utf-8')
    return path


def test_all_columns_are_read(tmp_path):
    line = 'a,gate,ir,,x/1.jpg; x/2.jpg,2026-03-01T08:30:00,2026-03-01T08:30:02.5,anna,test\n'
    (row,) = read_table(table(tmp_path, line))
    start, end = datetime(2026, 3, 1, 8, 30), datetime(2026, 3, 1, 8, 30, 2, 500_000)
    where = f'{tmp_path / "tracklets.csv"}:2'
    assert row == TrackletRow('a', 'gate', Modality.IR, '', ('x/1.jpg', 'x/2.jpg'), start, end, 'anna', 'test', where)


def test_only_three_columns_and_the_pictures_are_needed(tmp_path):
    (row,) = read_table(table(tmp_path, 'rgb,1,north,a b/\n', 'modality,tracklet,camera,folder\n'))
    assert (row.tracklet, row.camera, row.folder, row.person, row.start_time) == ('1', 'north', 'a b', '', None)


names = st.text(st.characters(codec='utf-8', exclude_categories=['C', 'Z']), min_size=1, max_size=8)


@settings(max_examples=30)
@given(st.lists(names, min_size=1, max_size=6, unique=True), names, st.none() | st.datetimes())
def test_written_tables_are_read_back(tmp_path_factory, tracklets, camera, time):
    path = tmp_path_factory.mktemp('table') / 'tracklets.csv'
    rows = [TrackletRow(name, camera, Modality.RGB, f'f/{i}', (), time, time) for i, name in enumerate(tracklets)]
    write_table(path, rows)
    found = read_table(path)
    assert [(r.tracklet, r.camera, r.folder, r.start_time, r.end_time) for r in found] == [
        (r.tracklet, r.camera, r.folder, r.start_time, r.end_time) for r in rows
    ]


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        (',gate,rgb,x,,,,,', 'the column tracklet is empty'),
        ('a,gate,thermal,x,,,,,', "the modality is 'thermal'; write rgb or ir"),
        ('a,gate,rgb,x,x/1.jpg,,,,', 'name the pictures in either folder or frames'),
        ('a,gate,rgb,,,,,,', 'name the pictures in either folder or frames'),
        ('a,gate,rgb,../x,,,,,', "path '../x' is empty or leaves the dataset folder"),
        ('a,gate,rgb,,x/1.jpg;/etc/passwd,,,,', "path '/etc/passwd' is empty or leaves the dataset folder"),
        ('a,gate,rgb,x,,yesterday,,,', "'yesterday' is not a time such as"),
        ('a,gate,rgb,x,,2026-03-02,2026-03-01,,', 'end_time is before start_time'),
        ('a,gate,rgb,x,,2026-03-02,2026-03-03T00:00+01:00,,', 'the same kind of time'),
        ('a,gate,rgb,x,,,,,val', "the split is 'val'; write train or test"),
        ('a,gate,rgb,x,,,,,,1', 'more cells than columns'),
        ('a,gate,rgb,"x"y,,,,,', 'not a line of a CSV file'),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    path = table(tmp_path, f'ok,gate,rgb,y,,,,,\n{line}\n')
    with pytest.raises(DatasetError, match=message) as error:
        read_table(path)
    assert str(error.value).startswith(f'{path}:3: ')


def test_names_are_unique(tmp_path):
    path = table(tmp_path, 'a,gate,rgb,x,,,,,\na,gate,ir,y,,,,,\n')
    with pytest.raises(DatasetError, match=rf":3: tracklet 'a' is also in {path}:2; rename"):
        read_table(path)


@pytest.mark.parametrize(
    ('header', 'message'),
    [
        ('tracklet,modality,folder\n', 'the column camera is missing'),
        ('tracklet,camera,modality\n', 'folder or frames'),
    ],
)
def test_missing_columns_are_named(tmp_path, header, message):
    with pytest.raises(DatasetError, match=message):
        read_table(table(tmp_path, 'a,rgb,x\n', header))


def test_empty_missing_and_foreign_files(tmp_path):
    with pytest.raises(DatasetError, match='contains no tracklet'):
        read_table(table(tmp_path, ''))
    with pytest.raises(MissingFileError):
        read_table(tmp_path / 'absent' / 'tracklets.csv')
    (tmp_path / 'tracklets.csv').write_bytes(b'tracklet,\xff\xfe')
    with pytest.raises(DatasetError, match='not a UTF-8 text file'):
        read_table(tmp_path / 'tracklets.csv')


def test_the_table_of_a_folder(tmp_path):
    assert find_table(tmp_path) is None
    (tmp_path / 'tracklets.parquet').touch()
    assert find_table(tmp_path).name == 'tracklets.parquet'
    (tmp_path / 'tracklets.csv').touch()
    with pytest.raises(DatasetError, match=r'contains tracklets\.csv and tracklets\.parquet; delete one'):
        find_table(tmp_path)


def test_parquet_equals_csv(tmp_path):
    parquet = pytest.importorskip('pyarrow.parquet', reason='the extra "tables" is not installed')
    pyarrow = pytest.importorskip('pyarrow')
    columns = {
        'tracklet': ['a', 'b'], 'camera': ['gate', 'gate'], 'modality': ['rgb', 'ir'],
        'frames': [['x/1.jpg', 'x/2.jpg'], ['y/1.jpg']], 'start_time': [datetime(2026, 3, 1), None],
    }  # fmt: skip
    parquet.write_table(pyarrow.table(columns), tmp_path / 'tracklets.parquet')
    rows = read_table(tmp_path / 'tracklets.parquet')
    assert [row.frames for row in rows] == [('x/1.jpg', 'x/2.jpg'), ('y/1.jpg',)]
    assert [row.start_time for row in rows] == [datetime(2026, 3, 1), None]
    (tmp_path / 'tracklets.parquet').write_bytes(b'PAR1')
    with pytest.raises(DatasetError, match='not a Parquet file'):
        read_table(tmp_path / 'tracklets.parquet')


def test_times():
    assert parse_time('') is None
    assert parse_time('2026-03-01T08:30:00+01:00').utcoffset().total_seconds() == 3600
    with pytest.raises(ValueError, match='is not a time'):
        parse_time('8 o clock')
