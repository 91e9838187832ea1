"""A shard: many frames in one safetensors file.

Tensors of a file: ``data`` uint8 (B,), the concatenated contents; ``offsets`` int64 (n + 1,), the start of each content
and the end of the last; ``crc32`` uint32 (n,) of the contents; ``paths`` uint8, the frames' paths in UTF-8, joined by
newlines.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
            'paths': np.frombuffer('\n'.join(frames).encode('utf-8', 'surrogatepass'), np.uint8),
        },
        path,
    )


def map_shard(path: str | Path) -> memoryview:
    """Map a shard's concatenated contents into memory, read-only; nothing is read until it is used.

    Raises:
        OSError: If the file is missing or cannot be opened.
        ValueError: If it is not a shard.
    """
    (data,) = _tensors(path, 'pt', 'data')  # torch tensors are mapped; numpy arrays would be copied
    data = data.numpy()
    data.flags.writeable = False
    return memoryview(data)


def read_shard_entries(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read offsets, int64 (n + 1,), and CRC-32, uint32 (n,), of a shard's contents; raises like ``map_shard``."""
    offsets, crc32 = _tensors(path, 'np', 'offsets', 'crc32')
    return offsets, crc32


def read_shard_paths(path: str | Path) -> list[str]:
    """Read the paths of a shard's frames; raises like ``map_shard``."""
    (paths,) = _tensors(path, 'np', 'paths')
    return paths.tobytes().decode('utf-8', 'surrogatepass').split('\n')


def _tensors(path: str | Path, framework: str, *names: str) -> list[Any]:
    try:
        with safe_open(path, framework) as file:
            return [file.get_tensor(name) for name in names]
    except SafetensorError as error:
        raise ValueError(str(error)) from None
