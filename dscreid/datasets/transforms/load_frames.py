"""Read and decode frames."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dscreid.datasets.storage import FolderFrames, FrameFormat, FrameStorage
from dscreid.datasets.transforms.decoding import Decoder, choose_decoder
from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import TRANSFORMS


def decode_content(
    content: bytes | memoryview,
    packed: FrameFormat | None,
    decode: Decoder,
    at_least: tuple[int, int] | None = None,
) -> np.ndarray | None:
    """Pixels of what a storage gave.

    Args:
        content: An image file's bytes, or raw pixels.
        packed: The storage's ``frame_format``.
        decode: For image files.
        at_least: (H, W) that the result of a scaled decoding must not fall below; None decodes every pixel.

    Returns:
        uint8 (h, w, 3) in RGB order, (h, w) of a grey file, or None if an image file is damaged.
    """
    if packed is not None and packed.encoding == 'raw':
        return np.frombuffer(content, np.uint8).reshape(*packed.size, 3)
    return decode(content, at_least)


def fit_frame(image: np.ndarray, out: np.ndarray, area_when_shrinking: bool = False) -> None:
    """Resize an image into an array and give it three channels.

    Args:
        image: uint8 (h, w, 3) in RGB order, or (h, w) of a grey image.
        out: uint8 (H, W, 3), contiguous, overwritten; images of another size are resized bilinearly.
        area_when_shrinking: Average pixel areas where both sides shrink, which avoids aliasing.
    """
    height, width = out.shape[:2]
    is_grey = image.ndim == 2
    if image.shape[:2] != (height, width):
        shrinks = image.shape[0] >= height and image.shape[1] >= width
        method = cv2.INTER_AREA if area_when_shrinking and shrinks else cv2.INTER_LINEAR
        # a grey image is resized as one channel, a third of the work
        image = cv2.resize(image, (width, height), None if is_grey else out, interpolation=method)
    if is_grey:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB, dst=out)
    if image is not out:
        out[...] = image


@TRANSFORMS.register_module()
class LoadFrames:
    """Set ``frames``, uint8 (T, H, W, 3) in RGB order, from ``frame_paths``.

    Frames come from ``storage`` in the dict, which the dataset puts there; without it from the files below
    ``root``.

    Args:
        size: (H, W) of the result; frames of another size are resized bilinearly.
        area_when_shrinking: Average pixel areas where both sides shrink, which avoids aliasing.
        backend: ``'cv2'``; ``'turbojpeg'`` (libjpeg-turbo by the package simplejpeg); or ``'auto'``, the faster
            one that is installed, named once in the log. All give the same pixels.
        reduce: Decode JPEGs at a half, a quarter or an eighth of their size where that is not below ``size``.
            Faster for pictures at least twice as large, but other pixels: off, so that results stay comparable.

    Raises:
        ConfigError: If the size or the backend is out of range, or the backend is not installed.
    """

    def __init__(
        self,
        size: tuple[int, int] = (288, 144),
        area_when_shrinking: bool = False,
        backend: str = 'auto',
        reduce: bool = False,
    ) -> None:
        if len(size) != 2 or min(size) < 1:
            raise ConfigError(f'LoadFrames: size must be (height, width), both positive, got {size}')
        self.size = (int(size[0]), int(size[1]))
        self.area_when_shrinking = area_when_shrinking
        self.backend, self._decode = choose_decoder(backend)
        self.reduce = reduce

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the decoded frames to ``results``; a path that occurs twice is read once."""
        storage = results.get('storage') or FolderFrames(results['root'])
        self._check_format(storage.frame_format, results['root'])
        paths = results['frame_paths']
        frames = np.empty((len(paths), *self.size, 3), np.uint8)
        first: dict[str, int] = {}
        for row, path in enumerate(paths):
            if path in first:
                frames[row] = frames[first[path]]
            else:
                first[path] = row
                self._load(storage, path, results, frames[row])
        results['frames'] = frames
        return results

    def _load(self, storage: FrameStorage, frame: str, results: dict[str, Any], out: np.ndarray) -> None:
        tracklet = results['tracklet']
        where = f'frame of tracklet {results["index"]}, {tracklet.modality.value}, camera {tracklet.camera}'
        try:
            content = storage.read(frame)
        except DatasetError as error:
            raise DatasetError(f'{error} ({where})') from None
        image = decode_content(
            content, storage.frame_format, self._decode, self.size if self.reduce else None
        )
        if image is None:
            raise DatasetError(
                f'{Path(results["root"], frame)}: not a complete image file ({where}); unpack the dataset '
                'archive again'
            )
        fit_frame(image, out, self.area_when_shrinking)

    def _check_format(self, packed: FrameFormat | None, root: Path | str) -> None:
        """Refuse frames that were packed for another ``LoadFrames``."""
        if packed is None or (packed.size, packed.area_when_shrinking) == (
            self.size,
            self.area_when_shrinking,
        ):
            return
        raise ConfigError(
            f'{root}: the frames were packed with size={packed.size} and '
            f'area_when_shrinking={packed.area_when_shrinking}, but LoadFrames has size={self.size} and '
            f'area_when_shrinking={self.area_when_shrinking}; give LoadFrames the same, or pack the dataset '
            'again into a new folder'
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, area_when_shrinking={self.area_when_shrinking}, '
            f'backend={self.backend!r}, reduce={self.reduce})'
        )
