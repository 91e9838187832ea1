import zlib

import numpy as np
import pytest

from dscreid.datasets.storage import shards
from dscreid.datasets.storage.shards import build_table, map_shard, parse_table, read_shard, save_table, write_shard
from dscreid.errors import DatasetError


@pytest.fixture
def contents():
    """Random bytes of random lengths for forty paths, one of them in no folder."""
    rng = np.random.default_rng(0)
    names = [f'Träin/{n % 3:04d}/rgb/D{n % 2}/{n}.jpg' for n in range(39)] + ['lone.jpg']
    return {name: rng.bytes(rng.integers(1, 50)) for name in names}


def make(tmp_path, contents, sizes=(15, 15, 10)):
    names, entries = list(contents), []
    for number, end in enumerate(np.cumsum(sizes)):
        part = names[end - sizes[number] : end]
        write_shard(tmp_path / f'{number}.safetensors', part, [contents[name] for name in part])
        entries.append(read_shard(tmp_path / f'{number}.safetensors', 'offsets', 'crc32'))
    return build_table(names, entries)


def test_every_frame_is_found_where_it_lies(contents, tmp_path):
    save_table(tmp_path / 'table', make(tmp_path, contents))
    table = parse_table((tmp_path / 'table').read_bytes())
    assert len(table.keys) == 40
    for name, content in contents.items():
        entry = table.find(name)
        shard = map_shard(tmp_path / f'{entry.shard}.safetensors')
        assert shard[entry.offset : entry.offset + entry.length] == content
        assert entry.crc32 == zlib.crc32(content)


def test_other_paths_and_folders_are_not_there(contents, tmp_path):
    table = make(tmp_path, contents)
    for name in ('', 'lone', 'Träin/0000/rgb/D0', 'Träin//0000/rgb/D0/0.jpg', '../lone.jpg'):
        assert table.find(name) is None
    for folder in ('Träin', 'Träin/0002', 'Träin/0002/rgb', 'Träin/0002/rgb/D1'):
        assert table.has_folder(folder)
    for folder in ('', 'Träin/', 'Träin/0003', 'Träin/0002/ir', 'lone.jpg'):
        assert not table.has_folder(folder)


def test_paths_that_cannot_be_told_apart_are_refused(contents, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, '_key', lambda path: len(path))
    with pytest.raises(DatasetError, match='cannot be told apart'):
        make(tmp_path, contents)


def test_a_mapped_shard_is_read_only(contents, tmp_path):
    make(tmp_path, contents)
    assert map_shard(tmp_path / '0.safetensors').readonly


def test_what_is_no_shard_or_table(tmp_path):
    (tmp_path / 'x').write_bytes(b'\x08\0\0\0\0\0\0\0{      }')
    for read in (map_shard, lambda path: read_shard(path, 'crc32'), lambda path: parse_table(path.read_bytes())):
        with pytest.raises(ValueError, match=r'.+'):
            read(tmp_path / 'x')
