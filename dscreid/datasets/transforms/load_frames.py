"""Read and decode frames."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import TRANSFORMS


@lru_cache(maxsize=1 << 16)
def _real_path(path: str) -> str:
    """Path without symbolic links; folders repeat, so asking the file system once is enough."""
    return os.path.realpath(path)


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
    path = os.path.join(root, frame)
    folder = _real_path(os.path.dirname(path))
    real = os.path.realpath(path) if os.path.islink(path) else os.path.join(folder, os.path.basename(path))
    inside = _real_path(os.fspath(root)).rstrip(os.sep) + os.sep
    if not real.startswith(inside):
        raise DatasetError(
            f'{path}: leads out of the data root, to {real}; put the images below the root, or make the '
            'root itself the link'
        )
    try:
        with open(path, 'rb') as file:
            return file.read()
    except FileNotFoundError:
        raise DatasetError(f'{path}: the frame is missing; unpack the dataset archive again') from None
    except OSError as error:
        raise DatasetError(f'{path}: the frame cannot be read ({error.strerror}); check the file') from None


def decode_frame(content: bytes) -> np.ndarray | None:
    """Decode an image file.

    Args:
        content: Bytes of a JPEG, PNG or other file that OpenCV knows. A rotation in its EXIF data is ignored.

    Returns:
        uint8 (H, W, 3) in RGB order, or None if the bytes are no image or were cut off.
    """
    if not content:
        return None
    try:
        image = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@TRANSFORMS.register_module()
class LoadFrames:
    """Set ``frames``, uint8 (T, H, W, 3) in RGB order, from ``frame_paths``.

    Args:
        size: (H, W) of the result; frames of another size are resized bilinearly.
        area_when_shrinking: Average pixel areas where both sides shrink, which avoids aliasing.
        backend: ``'cv2'``, the only decoder.

    Raises:
        ConfigError: If the size or the backend is out of range.
    """

    def __init__(
        self, size: tuple[int, int] = (288, 144), area_when_shrinking: bool = False, backend: str = 'cv2'
    ) -> None:
        if len(size) != 2 or min(size) < 1:
            raise ConfigError(f'LoadFrames: size must be (height, width), both positive, got {size}')
        if backend != 'cv2':
            raise ConfigError(f"LoadFrames: backend must be 'cv2', got {backend!r}")
        self.size = (int(size[0]), int(size[1]))
        self.area_when_shrinking = area_when_shrinking

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the decoded frames to ``results``; a path that occurs twice is read once."""
        loaded: dict[str, np.ndarray] = {}
        for path in results['frame_paths']:
            if path not in loaded:
                loaded[path] = self._load(path, results)
        results['frames'] = np.stack([loaded[path] for path in results['frame_paths']])
        return results

    def _load(self, frame: str, results: dict[str, Any]) -> np.ndarray:
        tracklet = results['tracklet']
        where = f'frame of tracklet {results["index"]}, {tracklet.modality.value}, camera {tracklet.camera}'
        try:
            image = decode_frame(read_frame_bytes(results['root'], frame))
        except DatasetError as error:
            raise DatasetError(f'{error} ({where})') from None
        if image is None:
            raise DatasetError(
                f'{Path(results["root"], frame)}: not a complete image file ({where}); unpack the dataset '
                'archive again'
            )
        return self._resize(image)

    def _resize(self, image: np.ndarray) -> np.ndarray:
        height, width = self.size
        if image.shape[:2] == self.size:
            return image
        shrinks = image.shape[0] >= height and image.shape[1] >= width
        method = cv2.INTER_AREA if self.area_when_shrinking and shrinks else cv2.INTER_LINEAR
        return cv2.resize(image, (width, height), interpolation=method)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size}, area_when_shrinking={self.area_when_shrinking})'
