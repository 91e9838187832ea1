"""Storage interface used by the datasets and ``LoadFrames``, and the storage of plain image files."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from dscreid.datasets.frame_files import read_frame_bytes
from dscreid.errors import ConfigError

ENCODINGS = ('jpeg', 'raw')
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


@dataclass(frozen=True)
class FrameFormat:
    """Format into which the original frames were converted when they were packed.

    Attributes:
        size: (H, W) of every frame.
        area_when_shrinking: Resizing method; see ``LoadFrames``.
        encoding: ``'jpeg'``, or ``'raw'``: uint8 (H, W, 3) in RGB order, row by row.
        quality: JPEG quality, 1 to 100; None for raw pixels.

    Raises:
        ConfigError: If a value is out of range.
    """

    size: tuple[int, int] = (288, 144)
    area_when_shrinking: bool = False
    encoding: str = 'jpeg'
    quality: int | None = 95

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


class FrameStorage(ABC):
    """Frames addressed by their path relative to the dataset's root, as in the official index files.

    Attributes:
        root: Folder of the dataset.
        frame_format: Format of the packed frames; None for the original files.
        remedy: How to fix a frame that is not a complete image, for error messages.
    """

    root: Path
    frame_format: FrameFormat | None = None
    remedy: str

    @abstractmethod
    def read(self, frame: str) -> bytes | memoryview:
        """Read a frame: the bytes of an image file, or pixels if ``frame_format.encoding`` is ``'raw'``.

        Raises:
            FrameError: If an original file is missing or unreadable.
            DatasetError: If its path leaves the root, the frame is not packed, or its shard is damaged.
        """

    @abstractmethod
    def has_folder(self, folder: str) -> bool:
        """Check whether ``folder``, relative to the root without a trailing slash, contains frames."""

    @abstractmethod
    def list_frames(self) -> list[str]:
        """List the paths of all frames, sorted; for datasets without index files."""


class FolderFrames(FrameStorage):
    """Image files in the original folders of the dataset, whose root may be a symbolic link."""

    remedy = 'unpack the dataset archive again'

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def read(self, frame: str) -> bytes:
        """Read an image file."""
        return read_frame_bytes(self.root, frame)

    def has_folder(self, folder: str) -> bool:
        """Check whether the folder exists."""
        return (self.root / folder).is_dir()

    def list_frames(self) -> list[str]:
        """List all files below the root whose names end like those of images."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob('*')
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        )
