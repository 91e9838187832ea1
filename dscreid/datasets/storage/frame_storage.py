"""Storage of frames: plain image files, or the shards written by ``dscreid pack``."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dscreid.datasets.frame_files import path_inside, read_frame_bytes
from dscreid.datasets.storage.manifest import MANIFEST, read_manifest, shard_name
from dscreid.datasets.storage.shards import FrameTable, map_shard, read_columns
from dscreid.errors import DatasetError

Read = TypeVar('Read')

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


class FolderFrames:
    """Image files in the original folders of a dataset, whose root may be a symbolic link.

    Like in ``PackedFrames``, frames are addressed by their path relative to the root, as in the official index files.
    """

    frame_format = None
    remedy = 'unpack the dataset archive again'

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def read(self, frame: str) -> bytes:
        """Read an image file; raises FrameError, or DatasetError if the path leaves the root."""
        return read_frame_bytes(self.root, frame)

    def has_folder(self, folder: str) -> bool:
        """Check whether ``folder``, relative to the root without a trailing slash, exists."""
        return (self.root / folder).is_dir()

    def is_empty(self, frame: str) -> bool:
        """Check whether an image file has no bytes; False if it is missing."""
        path = self.root / frame
        return path.is_file() and path.stat().st_size == 0

    def list_frames(self) -> list[str]:
        """List the paths of all images below the root, sorted; for datasets without index files."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob('*')
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        )


class PackedFrames:
    """Frames in memory-mapped shards; the CRC-32 of a frame is checked on every read.

    Raises DatasetError if packing is not finished, or ``packing.json`` or the index of a shard is damaged.
    """

    remedy = 'pack the dataset again into a new folder'

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.manifest = read_manifest(self.root)
        self.frame_format = self.manifest.frame_format
        self._command = f'this command writes it: {self.manifest.command(self.root)}'
        if not self.manifest.is_finished:
            raise DatasetError(f'{self.root}: not all frames are packed yet; {self._command}')
        numbers = range(len(self.manifest.shards))
        self._table = FrameTable.of([self._read_shard(number, read_columns) for number in numbers])
        if len(self._table.paths) != self.manifest.num_frames:
            raise self._damaged(MANIFEST, f'its shards hold {len(self._table.paths)} frames')
        self._shards: dict[int, memoryview] = {}

    def read(self, frame: str) -> memoryview:
        """Read an image file, or pixels if ``frame_format.encoding`` is ``'raw'``; DatasetError if it is damaged."""
        entry = self._table.find(frame)
        if entry is None:
            splits = ', '.join(self.manifest.splits)
            raise DatasetError(
                f'{self.root / frame}: this frame is not among the packed ones (splits packed: {splits}); {self.remedy}'
            )
        if entry.shard not in self._shards:
            self._shards[entry.shard] = self._read_shard(entry.shard, map_shard)
        content = self._shards[entry.shard][entry.offset : entry.offset + entry.length]
        if len(content) != entry.length or zlib.crc32(content) != entry.crc32:
            raise self._damaged(shard_name(entry.shard), f'frame {frame} has a wrong checksum')
        return content

    def has_folder(self, folder: str) -> bool:
        """Check whether the folder contains a packed frame."""
        return self._table.has_folder(folder)

    def is_empty(self, frame: str) -> bool:
        """Check whether a packed frame has no bytes; False if it is missing."""
        entry = self._table.find(frame)
        return entry is not None and entry.length == 0

    def list_frames(self) -> list[str]:
        """List the paths of all packed frames, sorted."""
        return [path.decode('utf-8', 'surrogatepass') for path in self._table.paths]

    def _read_shard(self, number: int, read: Callable[[Path], Read]) -> Read:
        name, record = shard_name(number), self.manifest.shards[number]
        path = Path(path_inside(self.root, name))
        try:
            if not path.is_file():
                raise ValueError('it is missing')
            if record is None or path.stat().st_size != record.bytes:
                raise ValueError('it has a wrong size')
            return read(path)
        except (OSError, ValueError) as error:
            raise self._damaged(name, str(error)) from None

    def _damaged(self, name: str, fault: str) -> DatasetError:
        return DatasetError(f'{self.root / name}: damaged, {fault}; {self._command}')

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the memory maps, which cannot be sent to another process."""
        return {**self.__dict__, '_shards': {}}


FrameStorage = FolderFrames | PackedFrames


def open_frames(root: str | Path) -> FrameStorage:
    """Open the frames of a dataset: packed ones if the root contains ``packing.json``; raises like ``PackedFrames``."""
    packed = (Path(root) / MANIFEST).is_file()
    return PackedFrames(root) if packed else FolderFrames(root)
