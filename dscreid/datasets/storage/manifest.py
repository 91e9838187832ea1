"""``packing.json``, which describes the content of a folder of packed frames and how it was made."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dscreid.datasets.index_files import check_paths, index_file
from dscreid.errors import ConfigError, DatasetError
from dscreid.utils.files import replacing

MANIFEST = 'packing.json'
VERSION = 2
ENCODINGS = ('jpeg', 'raw')
#: Types of the fields that ``FrameFormat`` and ``ShardRecord`` do not check.
_KINDS = {
    'layout': str, 'source': str, 'fake_ir': bool, 'frames_per_shard': int, 'num_frames': int, 'plan': str,
    'index_files': Mapping,
}  # fmt: skip


@dataclass(frozen=True)
class FrameFormat:
    """Format into which the original frames were converted when they were packed."""

    size: tuple[int, int] = (288, 144)  #: (H, W) of every frame
    area_when_shrinking: bool = False  #: resizing method; see ``LoadFrames``
    encoding: str = 'jpeg'  #: or ``'raw'``: uint8 (H, W, 3) in RGB order, row by row
    quality: int | None = 95  #: JPEG quality, 1 to 100; None for raw pixels

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(isinstance(n, int) and n > 0 for n in self.size):
            raise ConfigError(f'size must be a height and a width, both positive, got {self.size}')
        if self.encoding not in ENCODINGS:
            raise ConfigError(f'the format must be {" or ".join(ENCODINGS)}, got {self.encoding!r}')
        if self.encoding == 'jpeg' and not (self.quality and 1 <= self.quality <= 100):
            raise ConfigError(f'JPEG quality must lie between 1 and 100, got {self.quality}')

    def __str__(self) -> str:
        """Describe size, encoding and resizing method, for logs."""
        how = 'raw pixels' if self.encoding == 'raw' else f'JPEG of quality {self.quality}'
        area = ', resized by area' if self.area_when_shrinking else ''
        return f'{how}, {self.size[0]}x{self.size[1]}{area}'


@dataclass(frozen=True)
class ShardRecord:
    """Size and hexadecimal hash of a finished shard's file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Content of ``packing.json``.

    ``plan`` is a digest of the frames' paths in order, ``index_files`` maps copied files to their SHA-256, and
    ``shards`` contains None for unfinished ones.
    """

    layout: str
    source: str
    frame_format: FrameFormat
    splits: tuple[str, ...]
    fake_ir: bool
    frames_per_shard: int
    num_frames: int
    plan: str
    index_files: Mapping[str, str]
    shards: tuple[ShardRecord | None, ...] = field(repr=False)

    @property
    def is_finished(self) -> bool:
        """Whether all frames are packed."""
        return None not in self.shards

    def command(self, root: str | Path) -> str:
        """Command line that writes missing or damaged files in ``root`` and keeps everything else."""
        return f'dscreid pack {shlex.join((self.layout, self.source, str(root)))}'


def shard_name(number: int) -> str:
    """Path of a shard relative to the root."""
    return f'shards/{number:05d}.safetensors'


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write ``packing.json`` atomically."""
    with replacing(root / MANIFEST) as path:
        content = json.dumps({'version': VERSION, **asdict(manifest)}, indent=1)
        path.write_text(content + '\n', encoding='utf-8')


def read_manifest(root: Path) -> Manifest:
    """Read ``packing.json``; DatasetError if it is missing, malformed, of another version, or outside the root."""
    path = index_file(root, MANIFEST)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if content.pop('version') != VERSION:
            raise DatasetError(f'{path}: written by another version of this code; pack it again into a new folder')
        manifest = _parse(content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError) as error:
        reason = ' '.join(str(error).split())[:200]
        what = f'cannot be read as the description of packed frames ({reason})'
        raise DatasetError(f'{path}: {what}; pack the dataset again into a new folder') from None
    check_paths(manifest.index_files, str(path))
    return manifest


def _parse(content: dict[str, Any]) -> Manifest:
    content['frame_format']['size'] = tuple(content['frame_format']['size'])
    content['frame_format'] = FrameFormat(**content['frame_format'])
    content['shards'] = tuple(None if record is None else ShardRecord(**record) for record in content['shards'])
    content['splits'] = tuple(content['splits'])
    manifest = Manifest(**content)
    for name, kind in _KINDS.items():
        if not isinstance(getattr(manifest, name), kind):
            raise TypeError(f'{name} is {getattr(manifest, name)!r}')
    if not all(isinstance(text, str) for text in (*manifest.splits, *manifest.index_files.values())):
        raise TypeError('splits and hashes must be texts')
    return manifest
