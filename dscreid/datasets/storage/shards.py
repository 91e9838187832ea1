"""Safetensors files of packed frames: shards with the frames' contents, and the table that locates each frame.

Tensors of a shard: ``data`` uint8 (B,), the joined contents; ``offsets`` int64 (n + 1,), where each starts and the last
ends; ``crc32`` uint32 (n,) of the contents; ``paths`` uint8, the frames' paths in UTF-8, joined by newlines.
"""

import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save_file

from dscreid.errors import DatasetError


def write_shard(path: Path, frames: Sequence[str], contents: Sequence[bytes]) -> None:
    """Write the paths and contents of frames as a shard."""
    save_file(
        {
            'data': np.frombuffer(b''.join(contents), np.uint8),
            'offsets': np.cumsum([0, *map(len, contents)], dtype=np.int64),
            'crc32': np.array([zlib.crc32(content) for content in contents], dtype=np.uint32),
            'paths': np.frombuffer('\n'.join(frames).encode('utf-8', 'surrogatepass'), np.uint8),
        },
        path,
    )


def map_shard(path: str | Path) -> memoryview:
    """Map the contents of a shard, read-only; nothing is read until it is used. Raises like ``read_shard``."""
    (data,) = read_shard(path, 'data', framework='pt')  # torch tensors are mapped; numpy arrays would be copied
    data = data.numpy()
    data.flags.writeable = False
    return memoryview(data)


def read_shard(path: str | Path, *names: str, framework: str = 'np') -> list[Any]:
    """Read tensors of a shard by name; raises OSError if it cannot be opened, ValueError if it is not a shard."""
    try:
        with safe_open(path, framework) as file:
            return [file.get_tensor(name) for name in names]
    except SafetensorError as error:
        raise ValueError(str(error)) from None


class Entry(NamedTuple):
    """Location of a frame: shard, offset in the shard's contents, number of bytes, and their CRC-32."""

    shard: int
    offset: int
    length: int
    crc32: int


@dataclass(frozen=True)
class FrameTable:
    """Locations of all frames, as arrays instead of a dict: a million frames take 28 MB, shared by forked workers.

    ``keys`` are the first 64 bits of the BLAKE2b of each frame's path, ascending; ``folders`` the same of each folder
    that contains frames at any depth.
    """

    keys: np.ndarray  # uint64 (N,)
    shards: np.ndarray  # int32 (N,)
    offsets: np.ndarray  # int64 (N,)
    lengths: np.ndarray  # int32 (N,)
    crc32: np.ndarray  # uint32 (N,)
    folders: np.ndarray  # uint64 (M,)

    def find(self, frame: str) -> Entry | None:
        """Find the entry of a frame by its path relative to the root; None if it is not packed."""
        row = _find(self.keys, frame)
        if row is None:
            return None
        return Entry(*(c.item(row) for c in (self.shards, self.offsets, self.lengths, self.crc32)))

    def has_folder(self, folder: str) -> bool:
        """Check whether the folder contains a frame at any depth."""
        return _find(self.folders, folder) is not None


def build_table(frames: Sequence[str], entries: Sequence[Sequence[np.ndarray]]) -> FrameTable:
    """Build the table from all paths, ordered by shard, and ``offsets`` and ``crc32`` of each shard."""
    keys = np.array([_key(frame) for frame in frames], dtype=np.uint64)
    order = np.argsort(keys, kind='stable')
    same = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(same):
        first, second = (frames[order[same[0] + step]] for step in (0, 1))
        raise DatasetError(f'frames {first!r} and {second!r} cannot be told apart; rename one of them')
    shards = np.repeat(np.arange(len(entries)), [len(crc) for _, crc in entries])
    lengths = np.concatenate([np.diff(offsets) for offsets, _ in entries])
    folders = {frame[: slash.start()] for frame in frames for slash in re.finditer('/', frame)} - {''}
    return FrameTable(
        keys=keys[order],
        shards=shards.astype(np.int32)[order],
        offsets=np.concatenate([offsets[:-1] for offsets, _ in entries])[order],
        lengths=lengths.astype(np.int32)[order],
        crc32=np.concatenate([crc for _, crc in entries])[order],
        folders=np.array(sorted(map(_key, folders)), dtype=np.uint64),
    )


def save_table(path: Path, table: FrameTable) -> None:
    """Write a table as safetensors."""
    save_file({column.name: getattr(table, column.name) for column in fields(table)}, path)


def parse_table(content: bytes) -> FrameTable:
    """Parse a table from a file's bytes; raises ValueError if they are not a table."""
    try:
        return FrameTable(**load(content))
    except (SafetensorError, TypeError) as error:
        raise ValueError(str(error)) from None


def _key(path: str) -> int:
    digest = hashlib.blake2b(path.encode('utf-8', 'surrogatepass'), digest_size=8).digest()
    return int.from_bytes(digest, 'little')


def _find(keys: np.ndarray, path: str) -> int | None:
    key = np.uint64(_key(path))
    row = int(keys.searchsorted(key))
    return row if row < len(keys) and keys[row] == key else None
