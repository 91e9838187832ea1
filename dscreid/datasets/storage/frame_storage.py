"""What the datasets and ``LoadFrames`` ask of a storage, and the plain one: image files below the root."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from dscreid.datasets.frame_files import read_frame_bytes
from dscreid.errors import ConfigError

ENCODINGS = ('jpeg', 'raw')


@dataclass(frozen=True)
class FrameFormat:
    """What was made of the original frames when they were packed.

    Attributes:
        size: (H, W) of every frame.
        area_when_shrinking: How they were resized; see ``LoadFrames``.
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
        """For logs: size, encoding and what else tells it from others."""
        how = 'raw pixels' if self.encoding == 'raw' else f'JPEG of quality {self.quality}'
        area = ', resized by area' if self.area_when_shrinking else ''
        return f'{how}, {self.size[0]}x{self.size[1]}{area}'


class FrameStorage(ABC):
    """Frames by their path relative to the dataset's root, as the official index files give it.

    Attributes:
        root: Folder of the dataset.
        frame_format: What was made of the frames; None where they are the original files.
        remedy: What to do about a frame that is no whole image.
    """

    root: Path
    frame_format: FrameFormat | None = None
    remedy: str

    @abstractmethod
    def read(self, frame: str) -> bytes | memoryview:
        """Content of a frame: an image file's bytes, or pixels if ``frame_format.encoding`` is ``'raw'``.

        Args:
            frame: Path relative to the dataset's root.

        Raises:
            FrameError: If an original file is missing or unreadable.
            DatasetError: If its path leads out of the root, or the frame is not packed or its shard damaged: nothing
                that another frame could stand in for.
        """

    @abstractmethod
    def has_folder(self, folder: str) -> bool:
        """Whether frames lie below ``folder``, a path relative to the root without a slash at its end."""


class FolderFrames(FrameStorage):
    """Image files in the folders of the dataset's owners.

    Args:
        root: Folder of the dataset; may itself be a symbolic link.
    """

    remedy = 'unpack the dataset archive again'

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def read(self, frame: str) -> bytes:
        """Content of an image file."""
        return read_frame_bytes(self.root, frame)

    def has_folder(self, folder: str) -> bool:
        """Whether the folder exists."""
        return (self.root / folder).is_dir()
