"""Table that maps the path of a packed frame to its location."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from dscreid.errors import DatasetError


class Entry(NamedTuple):
    """Location of a frame: shard, offset in the shard's contents, number of bytes, and their CRC-32."""

    shard: int
    offset: int
    length: int
    crc32: int


@dataclass(frozen=True)
class FrameTable:
    """Locations of all frames, as arrays instead of a dict: a million frames take 28 MB, shared by forked workers.

    Attributes:
        keys: uint64 (N,), the first 64 bits of the BLAKE2b of each frame's path, ascending.
        shards: int32 (N,).
        offsets: int64 (N,).
        lengths: int32 (N,).
        crc32: uint32 (N,).
        folders: uint64 (M,), the same hash of each folder that holds frames at any depth, ascending.
    """

    keys: np.ndarray
    shards: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    crc32: np.ndarray
    folders: np.ndarray

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.keys)

    def find(self, frame: str) -> Entry | None:
        """Find the entry of a frame by its path relative to the root; None if it is not packed."""
        row = _find(self.keys, frame)
        if row is None:
            return None
        return Entry(*(c.item(row) for c in (self.shards, self.offsets, self.lengths, self.crc32)))

    def has_folder(self, folder: str) -> bool:
        """Check whether the folder contains a frame at any depth."""
        return _find(self.folders, folder) is not None


def build_table(frames: Sequence[str], entries: Sequence[tuple[np.ndarray, np.ndarray]]) -> FrameTable:
    """Build the table of all shards from N paths, ordered by shard, and the entries of each shard.

    Raises:
        DatasetError: If two paths are the same or have the same hash.
    """
    keys = np.array([_key(frame) for frame in frames], dtype=np.uint64)
    order = np.argsort(keys, kind='stable')
    same = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(same):
        first, second = (frames[order[same[0] + step]] for step in (0, 1))
        raise DatasetError(f'frames {first!r} and {second!r} cannot be told apart; rename one of them')
    columns = {
        'shards': np.repeat(np.arange(len(entries)), [len(crc) for _, crc in entries]).astype(np.int32),
        'offsets': np.concatenate([offsets[:-1] for offsets, _ in entries]),
        'lengths': np.concatenate([np.diff(offsets) for offsets, _ in entries]).astype(np.int32),
        'crc32': np.concatenate([crc for _, crc in entries]),
    }
    folders = np.array(sorted({_key(folder) for folder in _folders(frames)}), dtype=np.uint64)
    return FrameTable(keys[order], **{name: column[order] for name, column in columns.items()}, folders=folders)


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


def _folders(frames: Iterable[str]) -> set[str]:
    folders: set[str] = set()
    for frame in frames:
        folder = frame.rpartition('/')[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition('/')[0]
    return folders
