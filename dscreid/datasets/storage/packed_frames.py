"""Read frames from shards written by ``dscreid pack``."""

import hashlib
import zlib
from pathlib import Path
from typing import Any

from dscreid.datasets.frame_files import path_inside
from dscreid.datasets.storage.frame_storage import FolderFrames, FrameStorage
from dscreid.datasets.storage.manifest import MANIFEST, TABLE, read_manifest, shard_name
from dscreid.datasets.storage.shards import FrameTable, map_shard, parse_table, read_shard
from dscreid.errors import DatasetError


class PackedFrames(FrameStorage):
    """Frames in memory-mapped shards; the CRC-32 of a frame is checked on every read.

    Raises:
        DatasetError: If packing is not finished, or ``packing.json`` or the frame table is damaged.
    """

    remedy = 'pack the dataset again into a new folder'

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.manifest = read_manifest(self.root)
        self.frame_format = self.manifest.frame_format
        self._command = f'this command writes it: {self.manifest.command(self.root)}'
        if not self.manifest.is_finished:
            raise DatasetError(f'{self.root}: not all frames are packed yet; {self._command}')
        self._table = self._read_table()
        self._shards: dict[int, memoryview] = {}

    def read(self, frame: str) -> memoryview:
        """Read a frame; only its own pages are read from disk."""
        entry = self._table.find(frame)
        if entry is None:
            splits = ', '.join(self.manifest.splits)
            raise DatasetError(
                f'{self.root / frame}: this frame is not among the packed ones (splits packed: {splits}); {self.remedy}'
            )
        content = self._shard(entry.shard)[entry.offset : entry.offset + entry.length]
        if len(content) != entry.length or zlib.crc32(content) != entry.crc32:
            raise self._damaged(shard_name(entry.shard), f'frame {frame} has a wrong checksum')
        return content

    def has_folder(self, folder: str) -> bool:
        """Check whether the folder contains a packed frame."""
        return self._table.has_folder(folder)

    def list_frames(self) -> list[str]:
        """List all packed frames, from the shards."""
        frames: list[str] = []
        for number in range(len(self.manifest.shards)):
            name = shard_name(number)
            try:
                (paths,) = read_shard(path_inside(self.root, name), 'paths')
            except (OSError, ValueError) as error:
                raise self._damaged(name, str(error)) from None
            frames += paths.tobytes().decode('utf-8', 'surrogatepass').split('\n')
        return sorted(frames)

    def _read_table(self) -> FrameTable:
        try:
            content = Path(path_inside(self.root, TABLE)).read_bytes()
            if hashlib.sha256(content).hexdigest() != self.manifest.table:
                raise ValueError('it has a wrong checksum')
            return parse_table(content)
        except (OSError, ValueError) as error:
            raise self._damaged(TABLE, str(error)) from None

    def _shard(self, number: int) -> memoryview:
        """Map a shard when this process first uses it."""
        if number in self._shards:
            return self._shards[number]
        name = shard_name(number)
        path = Path(path_inside(self.root, name))
        try:
            if not path.is_file():
                raise ValueError('it is missing')
            record = self.manifest.shards[number] if number < len(self.manifest.shards) else None
            if record is None or path.stat().st_size != record.bytes:
                raise ValueError('it has a wrong size')
            return self._shards.setdefault(number, map_shard(path))
        except (OSError, ValueError) as error:
            raise self._damaged(name, str(error)) from None

    def _damaged(self, name: str, fault: str) -> DatasetError:
        return DatasetError(f'{self.root / name}: damaged, {fault}; {self._command}')

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the memory maps, which cannot be sent to another process."""
        return {**self.__dict__, '_shards': {}}


def open_frames(root: str | Path) -> FrameStorage:
    """Open the frames of a dataset: packed ones if the root contains ``packing.json``, otherwise the original files.

    Raises:
        DatasetError: If the packed frames are incomplete or damaged.
    """
    packed = (Path(root) / MANIFEST).is_file()
    return PackedFrames(root) if packed else FolderFrames(root)
