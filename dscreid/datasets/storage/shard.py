"""A shard: many frames in one safetensors file.

Safetensors was chosen over tar (WebDataset), LMDB and plain memory maps because the project already uses it, its header
is validated JSON without code, and its tensors are mapped instead of read. Any process can access any frame
immediately, and all processes share the system's page cache. A tar file is meant for sequential reading, which does not
suit samplers. LMDB would add a dependency with locks and a database file that cannot be rewritten in parts.

Tensors of a file: ``data`` uint8 (B,), the concatenated contents; ``offsets`` int64 (n + 1,), the start of each content
and the end of the last; ``crc32`` uint32 (n,) of the contents; ``paths`` uint8, the frames' paths in UTF-8, joined by
newlines.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file


def write_shard(path: Path, frames: Sequence[str], contents: Sequence[bytes]) -> None:
    """Write a shard.

    Args:
        path: The file to write.
        frames: n paths.
        contents: Content of each frame.
    """
    offsets = np.cumsum([0, *map(len, contents)], dtype=np.int64)
    save_file(
        {
            'data': np.frombuffer(b''.join(contents), np.uint8),
            'offsets': offsets,
            'crc32': np.array([zlib.crc32(content) for content in contents], dtype=np.uint32),
            'paths': np.frombuffer('\n'.join(frames).encode('utf-8', 'surrogatepass'), np.uint8),
        },
        path,
    )


def map_shard(path: str | Path) -> memoryview:
    """Map a shard's contents into memory; nothing is read until it is used.

    Args:
        path: A shard.

    Returns:
        Read-only bytes, the concatenated contents.

    Raises:
        OSError: If the file is missing or cannot be opened.
        ValueError: If it is not a shard.
    """
    try:
        with safe_open(path, 'pt') as file:  # torch tensors are mapped; numpy arrays would be copied
            data = file.get_tensor('data').numpy()
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    data.flags.writeable = False
    return memoryview(data)


def read_shard_entries(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the locations and checksums of a shard's contents.

    Args:
        path: A shard.

    Returns:
        Offsets, int64 (n + 1,), and CRC-32 of each content, uint32 (n,).

    Raises:
        OSError: If the file is missing or cannot be opened.
        ValueError: If it is not a shard.
    """
    try:
        with safe_open(path, 'np') as file:
            return file.get_tensor('offsets'), file.get_tensor('crc32')
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def read_shard_paths(path: str | Path) -> list[str]:
    """Read the paths of a shard's frames; raises like ``read_shard_entries``."""
    try:
        with safe_open(path, 'np') as file:
            return file.get_tensor('paths').tobytes().decode('utf-8', 'surrogatepass').split('\n')
    except SafetensorError as error:
        raise ValueError(str(error)) from None
