"""Bad and repeated files, against files damaged by hand."""

import os
from collections import Counter

import cv2
import numpy as np
import pytest

from dscreid.datasets import frame_files
from dscreid.datasets.packing import encode_frame
from dscreid.datasets.storage import FolderFrames, FrameFormat, open_frames
from dscreid.datasets.storage.manifest import Manifest, ShardRecord, shard_name, write_manifest
from dscreid.datasets.storage.shards import write_shard
from dscreid.lab.dataset_checks import Severity
from dscreid.lab.dataset_checks.frames import check_frames, scan_files

OWNERS = {
    'a1.jpg': ('train', 0, 1), 'a2.jpg': ('train', 0, 1), 'b.jpg': ('train', 1, 1), 'c.jpg': ('train', 2, 2),
    'd.jpg': ('test', 0, 3),
}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    frame_files._real_path.cache_clear()
    folder = tmp_path / 'root'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in OWNERS:
        pixels = rng.integers(0, 256, (64, 32, 3), dtype=np.uint8)
        (folder / name).write_bytes(cv2.imencode('.jpg', pixels)[1].tobytes())
    return folder


def scan(root, **arguments):
    return scan_files(FolderFrames(root), list(OWNERS), jobs=2, **arguments)


def test_whole_and_different(root):
    found = scan(root)
    assert (found.bad, found.duplicates) == ({}, [])
    assert {frame.size for frame in found.frames.values()} == {(64, 32)}
    assert [f.severity for f in check_frames(found, OWNERS, 'x', stops=True)] == [Severity.OK] * 2


def test_every_kind_of_bad_file(root, tmp_path):
    content = (root / 'a1.jpg').read_bytes()
    (root / 'a1.jpg').write_bytes(content[:-40])
    (root / 'a2.jpg').write_bytes(b'')
    (root / 'b.jpg').unlink()
    os.rename(root / 'c.jpg', tmp_path / 'c.jpg')
    (root / 'c.jpg').symlink_to(tmp_path / 'c.jpg')
    (root / 'd.jpg').write_bytes(b'no picture')
    found = scan(root)
    assert found.bad == {
        'a1.jpg': 'not a complete image', 'a2.jpg': 'zero bytes', 'b.jpg': 'missing', 'c.jpg': 'outside the root',
        'd.jpg': 'not a complete image',
    }  # fmt: skip
    bad, _ = check_frames(found, OWNERS, 'x', stops=False)
    assert bad.severity is Severity.BROKEN  # a link out of the root stops a run whatever the policy
    assert bad.message.startswith('5 of 5 frames cannot be used')
    assert len(bad.details) == 5


def test_bad_frames_matter_as_the_policy_says(root):
    (root / 'b.jpg').unlink()
    found = scan(root)
    assert check_frames(found, OWNERS, 'x', stops=True)[0].severity is Severity.BROKEN
    assert check_frames(found, OWNERS, 'x', stops=False)[0].severity is Severity.WARNING


def test_damage_inside_is_found(root):
    content = bytearray((root / 'c.jpg').read_bytes())
    at = content.index(b'\xff\xc4')
    content[at + 5] = 255  # a Huffman table with 255 codes of one bit
    (root / 'c.jpg').write_bytes(bytes(content))
    assert scan(root).bad == {'c.jpg': 'not a complete image'}


@pytest.mark.parametrize(
    ('one', 'other', 'spread'),
    [
        ('a1', 'a2', 'within a tracklet'),
        ('a1', 'b', 'across tracklets of one person'),
        ('b', 'c', 'across people'),
        ('c', 'd', 'across splits'),
    ],
)
def test_repeated_files(root, one, other, spread):
    (root / f'{other}.jpg').write_bytes((root / f'{one}.jpg').read_bytes())
    found = scan(root)
    assert found.duplicates == [[f'{one}.jpg', f'{other}.jpg']]
    finding = check_frames(found, OWNERS, 'x', stops=True)[1]
    assert finding.severity is Severity.WARNING
    assert finding.message == f'1 frames repeat the bytes of another one; groups: 1 {spread}'


def test_groups_against_counting(root):
    rng = np.random.default_rng(2)
    names = [f'{n}.jpg' for n in range(60)]
    kinds = rng.integers(0, 25, len(names))
    pictures = [(root / 'a1.jpg').read_bytes() + bytes([kind]) for kind in range(25)]
    for name, kind in zip(names, kinds, strict=True):
        (root / name).write_bytes(pictures[kind])
    found = scan_files(FolderFrames(root), names, jobs=3)
    sizes = sorted(len(group) for group in found.duplicates)
    assert sizes == sorted(count for count in Counter(kinds.tolist()).values() if count > 1)


@pytest.mark.parametrize('encoding', ['jpeg', 'raw'])
def test_packed_frames_are_checked_in_their_shards(root, tmp_path, encoding):
    size, names = (8, 4), [f'{n}.jpg' for n in range(6)]
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 256, (6, *size, 3), dtype=np.uint8)
    pictures[5] = pictures[0]
    frame_format = FrameFormat(size, encoding=encoding, quality=95 if encoding == 'jpeg' else None)
    contents = [encode_frame(picture, frame_format) for picture in pictures]
    if encoding == 'jpeg':
        contents[2] = contents[2][:-40]
    found = scan_files(shards(tmp_path / 'packed', frame_format, names, contents), [*names, 'none.jpg'], jobs=2)
    bad = {'2.jpg': 'not a complete image'} if encoding == 'jpeg' else {}
    assert found.bad == {**bad, 'none.jpg': 'not packed, or in a damaged shard'}
    assert found.duplicates == [['0.jpg', '5.jpg']]
    assert {frame.size for frame in found.frames.values()} - {()} == {size}
    owners = dict.fromkeys(found.frames, ('train', 0, 1))
    finding = check_frames(found, owners, 'x', stops=False)[0]
    assert 'pack.py' in finding.remedy


def shards(root, frame_format, names, contents):
    """Packed frames of one shard, written without the packer, which refuses bad ones."""
    (root / 'shards').mkdir(parents=True)
    write_shard(root / shard_name(0), names, contents)
    record = ShardRecord((root / shard_name(0)).stat().st_size, '')
    write_manifest(
        root,
        Manifest(
            'hitsz', '/source', frame_format, ('train',), False, 9, len(names), '', {}, (record,),
        ),
    )  # fmt: skip
    return open_frames(root)


@pytest.mark.parametrize('unknown', [None, -1])
def test_copies_of_unknown_people_are_not_called_those_of_two(root, unknown):
    (root / 'c.jpg').write_bytes((root / 'b.jpg').read_bytes())
    owners = OWNERS | {'c.jpg': ('train', 2, unknown)}
    assert check_frames(scan(root), owners, 'x', stops=True)[1].message.endswith('groups: 1 across tracklets')
