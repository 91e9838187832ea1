"""What the datasets and ``LoadFrames`` ask of a storage, and the plain one: image files below the root."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dscreid.errors import ConfigError, DatasetError

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
        if len(self.size) != 2 or min(self.size) < 1:
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
    """Frames by their path relative to the dataset's root, as the official index files give it."""

    #: None where frames are the original files.
    frame_format: FrameFormat | None = None

    @abstractmethod
    def read(self, frame: str) -> bytes | memoryview:
        """Content of a frame: an image file's bytes, or pixels if ``frame_format.encoding`` is ``'raw'``.

        Args:
            frame: Path relative to the dataset's root.

        Raises:
            DatasetError: If the frame is missing, damaged, or its path leads out of the root.
        """

    @abstractmethod
    def has_folder(self, folder: str) -> bool:
        """Whether frames lie below ``folder``, a path relative to the root without a slash at its end."""


class FolderFrames(FrameStorage):
    """Image files in the folders of the dataset's owners.

    Args:
        root: Folder of the dataset; may itself be a symbolic link.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def read(self, frame: str) -> bytes:
        """Content of an image file."""
        return read_frame_bytes(self.root, frame)

    def has_folder(self, folder: str) -> bool:
        """Whether the folder exists."""
        return (self.root / folder).is_dir()


def read_frame_bytes(root: Path | str, frame: str) -> bytes:
    """Content of an image file below a dataset's root.

    Args:
        root: Folder of the dataset; may itself be a symbolic link.
        frame: Path relative to it.

    Returns:
        The file's bytes.

    Raises:
        DatasetError: If the file is missing, unreadable, or a symbolic link leads out of the root.
    """
    path = path_inside(root, frame)
    try:
        with open(path, 'rb') as file:
            return file.read()
    except FileNotFoundError:
        raise DatasetError(f'{path}: the frame is missing; unpack the dataset archive again') from None
    except OSError as error:
        raise DatasetError(f'{path}: the frame cannot be read ({error.strerror}); check the file') from None


def path_inside(root: Path | str, name: str) -> str:
    """Path of a file below a dataset's root.

    Args:
        root: Folder of the dataset; may itself be a symbolic link.
        name: Path relative to it.

    Returns:
        Both joined; the file need not exist.

    Raises:
        DatasetError: If ``name``, or a symbolic link on its way, leads out of the root.
    """
    path = os.path.join(root, name)
    if os.path.islink(path):
        real = os.path.realpath(path)
    else:
        folder, _, base = path.rpartition(os.sep)
        real = f'{_real_path(folder)}{os.sep}{base}'
    inside = _real_path(os.fspath(root)).rstrip(os.sep) + os.sep
    if not real.startswith(inside):
        raise DatasetError(
            f'{path}: leads out of the data root, to {real}; put the images below the root, or make the '
            'root itself the link'
        )
    return path


@lru_cache(maxsize=1 << 16)
def _real_path(path: str) -> str:
    """Path without symbolic links; folders repeat, so asking the file system once is enough."""
    return os.path.realpath(path)
