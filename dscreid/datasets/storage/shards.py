"""Safetensors files with the contents of packed frames, and the table that locates each frame in them.

Tensors of a shard: ``data`` uint8 (B,), the joined contents; ``offsets`` int64 (n + 1,), where each starts and the last
ends; ``crc32`` uint32 (n,) of the contents; ``paths`` uint8, the frames' paths in UTF-8, joined by newlines.
"""

import zlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file


def write_shard(path: Path, frames: Sequence[str], contents: Sequence[bytes]) -> None:
    """Write the paths and contents of frames as a shard."""
    save_file(
        {
            'data': np.frombuffer(b''.join(contents), np.uint8),
            'offsets': np.cumsum([0, *map(len, contents)], dtype=np.int64),
            'crc32': np.array([zlib.crc32(content) for content in contents], dtype=np.uint32),
            'paths': np.frombuffer(_encoded('\n'.join(frames)), np.uint8),
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


def read_columns(path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read paths (bytes), ``offsets`` and ``crc32`` of a shard; raises like ``read_shard``."""
    joined, offsets, crc32 = read_shard(path, 'paths', 'offsets', 'crc32')
    paths = np.array(joined.tobytes().split(b'\n'))
    if paths.shape != crc32.shape or offsets.shape != (len(paths) + 1,):
        raise ValueError('its tensors do not fit together')
    return paths, offsets.astype(np.int64), crc32.astype(np.uint32)


class Entry(NamedTuple):
    """Location of a frame: shard, offset in the shard's contents, number of bytes, and their CRC-32."""

    shard: int
    offset: int
    length: int
    crc32: int


@dataclass(frozen=True)
class FrameTable:
    """Locations of all frames in arrays, which forked workers share, instead of a dict."""

    paths: np.ndarray  # bytes (N,), relative to the root, in UTF-8, ascending
    entries: np.ndarray  # int64 (N, 4), see Entry

    @classmethod
    def of(cls, columns: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> 'FrameTable':
        """Build the table from the columns of all shards."""
        paths = np.concatenate([paths for paths, _, _ in columns])
        order = np.argsort(paths, kind='stable')
        entries = [
            np.stack([np.full(len(crc32), number), offsets[:-1], np.diff(offsets), crc32], axis=1)
            for number, (_, offsets, crc32) in enumerate(columns)
        ]
        return cls(paths[order], np.concatenate(entries)[order])

    def find(self, frame: str) -> Entry | None:
        """Find the entry of a frame by its path relative to the root; None if it is not packed."""
        row, path = self._first(frame)
        return Entry(*self.entries[row].tolist()) if path == _encoded(frame) else None

    def has_folder(self, folder: str) -> bool:
        """Check whether the folder contains a frame at any depth."""
        return self._first(f'{folder}/')[1].startswith(_encoded(f'{folder}/'))

    def _first(self, text: str) -> tuple[int, bytes]:
        """Find row and path of the first frame whose path is not below ``text``."""
        row = bisect_left(self.paths, _encoded(text))
        return row, self.paths[row] if row < len(self.paths) else b''


def _encoded(path: str) -> bytes:
    return path.encode('utf-8', 'surrogatepass')
