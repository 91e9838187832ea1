import zlib

import numpy as np
import pytest

from dscreid.datasets.storage.shards import FrameTable, map_shard, read_columns, write_shard


@pytest.fixture
def contents():
    """Random bytes of random lengths for forty paths, one of them in no folder."""
    rng = np.random.default_rng(0)
    names = [f'Träin/{n % 3:04d}/rgb/D{n % 2}/{n}.jpg' for n in range(39)] + ['lone.jpg']
    return {name: rng.bytes(rng.integers(1, 50)) for name in names}


def make(tmp_path, contents, sizes=(15, 15, 10)):
    names, columns = list(contents), []
    for number, end in enumerate(np.cumsum(sizes)):
        part = names[end - sizes[number] : end]
        write_shard(tmp_path / f'{number}.safetensors', part, [contents[name] for name in part])
        columns.append(read_columns(tmp_path / f'{number}.safetensors'))
    return FrameTable.of(columns)


def test_every_frame_is_found_where_it_lies(contents, tmp_path):
    table = make(tmp_path, contents)
    assert [path.decode() for path in table.paths] == sorted(contents)
    for name, content in contents.items():
        entry = table.find(name)
        shard = map_shard(tmp_path / f'{entry.shard}.safetensors')
        assert shard[entry.offset : entry.offset + entry.length] == content
        assert entry.crc32 == zlib.crc32(content)


def test_other_paths_and_folders_are_not_there(contents, tmp_path):
    table = make(tmp_path, contents)
    for name in ('', 'lone', 'Träin/0000/rgb/D0', 'Träin//0000/rgb/D0/0.jpg', '../lone.jpg', 'z' * 99):
        assert table.find(name) is None
    for folder in ('Träin', 'Träin/0002', 'Träin/0002/rgb', 'Träin/0002/rgb/D1'):
        assert table.has_folder(folder)
    for folder in ('', 'Träin/', 'Träin/0003', 'Träin/0002/ir', 'lone.jpg'):
        assert not table.has_folder(folder)


def test_a_mapped_shard_is_read_only(contents, tmp_path):
    make(tmp_path, contents)
    assert map_shard(tmp_path / '0.safetensors').readonly


def test_what_is_no_shard(tmp_path):
    (tmp_path / 'x').write_bytes(b'\x08\0\0\0\0\0\0\0{      }')
    for read in (map_shard, read_columns):
        with pytest.raises(ValueError, match=r'.+'):
            read(tmp_path / 'x')


def test_columns_of_different_lengths_are_refused(tmp_path):
    write_shard(tmp_path / 'x', ['a', 'b', 'c'], [b'1', b'2'])
    with pytest.raises(ValueError, match='do not fit together'):
        read_columns(tmp_path / 'x')
