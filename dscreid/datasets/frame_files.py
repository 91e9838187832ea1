"""Read image files below a dataset's root."""

import os
import stat
from functools import lru_cache
from pathlib import Path

from dscreid.errors import DatasetError, FrameError


@lru_cache(maxsize=1 << 16)
def _real_path(path: str) -> str:
    """Resolve symbolic links; cached, because the same folders occur repeatedly."""
    return os.path.realpath(path)


def path_inside(root: Path | str, name: str) -> str:
    """Join a dataset's root, which may be a symbolic link, and a relative path; the file need not exist.

    Raises DatasetError if the path leaves the root (by its text or a symbolic link) or is not a valid file name.
    """
    path = os.path.join(root, name)
    try:
        folder = _real_path(os.path.dirname(path))
        is_link = os.path.islink(path)
        real = os.path.realpath(path) if is_link else os.path.join(folder, os.path.basename(path))
        inside = _real_path(os.fspath(root)).rstrip(os.sep) + os.sep
    except ValueError:  # NUL, or characters not allowed in file names
        raise DatasetError(f'{path!r}: not a valid file name; correct the index') from None
    if not real.startswith(inside):
        raise DatasetError(f'{path}: leads out of the data root, to {real}; put the files below the root')
    return path


def read_frame_bytes(root: Path | str, frame: str) -> bytes:
    """Read an image file below a dataset's root; raises FrameError, also for pipes, or like ``path_inside``."""
    path = path_inside(root, frame)
    try:
        with open(path, 'rb', opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FrameError(f'{path}: the frame cannot be read (no regular file); check the file')
            return file.read()
    except FileNotFoundError:
        raise FrameError(f'{path}: the frame is missing; unpack the dataset archive again') from None
    except OSError as error:
        raise FrameError(f'{path}: the frame cannot be read ({error.strerror}); check the file') from None
