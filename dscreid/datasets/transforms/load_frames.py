"""Read and decode frames."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from dscreid.datasets.bad_frames import OnBadFrame, load_or_substitute
from dscreid.datasets.decoding import choose_decoder, decode_frame
from dscreid.datasets.storage import FolderFrames, FrameFormat, FrameStorage
from dscreid.errors import ConfigError, DatasetError, FrameError
from dscreid.registry import TRANSFORMS


def fit_frame(image: np.ndarray, out: np.ndarray, area_when_shrinking: bool = False) -> None:
    """Resize an image, uint8 (h, w, 3) in RGB order or (h, w), into ``out``, uint8 (H, W, 3), contiguous.

    The resizing is bilinear, or averages over pixel areas if both sides shrink and ``area_when_shrinking`` is True.
    """
    height, width = out.shape[:2]
    is_gray = image.ndim == 2
    if image.shape[:2] != (height, width):
        shrinks = image.shape[0] >= height and image.shape[1] >= width
        method = cv2.INTER_AREA if area_when_shrinking and shrinks else cv2.INTER_LINEAR
        # resizing a gray image as one channel takes a third of the work
        image = cv2.resize(image, (width, height), None if is_gray else out, interpolation=method)
    if is_gray:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB, dst=out)
    if image is not out:
        out[...] = image


@TRANSFORMS.register_module()
class LoadFrames:
    """Set ``frames``, uint8 (T, H, W, 3) in RGB order, from ``frame_paths``.

    Frames are read from ``storage`` in the dict, which the dataset sets; otherwise from the files below ``root``.

    Args:
        size: (H, W) of the result; frames of another size are resized bilinearly.
        area_when_shrinking: Average over pixel areas if both sides shrink, which avoids aliasing.
        backend: ``'cv2'``; ``'turbojpeg'`` (libjpeg-turbo through the package simplejpeg); or ``'auto'``, the
            fastest one installed, which is logged once. All give the same pixels.
        reduce: Decode JPEGs at 1/2, 1/4 or 1/8 of their size if that is not below ``size``. This is faster, but
            changes the pixels.

    Raises:
        ConfigError: If the size or the backend is out of range, or the backend is not installed.
    """

    common_settings = MappingProxyType({'size': 'frame_size'})

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
        """Add the decoded frames to ``results``; a path that occurs twice is read only once.

        If ``on_bad_frame`` is ``SUBSTITUTE``, the nearest readable frame replaces an unreadable one, whose position is
        added to ``bad_positions``.
        """
        storage = results.get('storage') or FolderFrames(results['root'])
        self._check_format(storage.frame_format, storage.root)
        load = _each_once(lambda path: self._load(storage, path, results))
        frames = np.empty((len(results['frame_paths']), *self.size, 3), np.uint8)
        for out, image in zip(frames, _images(load, results), strict=True):
            fit_frame(image, out, self.area_when_shrinking)
        results['frames'] = frames
        return results

    def _load(self, storage: FrameStorage, frame: str, results: dict[str, Any]) -> np.ndarray:
        try:
            return decode_frame(storage, frame, self._decode, self.size if self.reduce else None)
        except FrameError as error:
            raise FrameError(f'{error}{_remedy(results)} ({_where(results)})') from None
        except DatasetError as error:
            raise DatasetError(f'{error} ({_where(results)})') from None

    def _check_format(self, packed: FrameFormat | None, root: Path | str) -> None:
        """Raise an error if frames were packed with other settings than those of this ``LoadFrames``."""
        own = (self.size, self.area_when_shrinking)
        if packed is not None and (packed.size, packed.area_when_shrinking) != own:
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


def _images(load: Callable[[str], np.ndarray], results: dict[str, Any]) -> Iterator[np.ndarray]:
    """Yield the decoded frames, with substitutes if the dataset asks for them."""
    if results.get('on_bad_frame') is not OnBadFrame.SUBSTITUTE:
        yield from map(load, results['frame_paths'])
        return
    for position in results['frame_indices'].tolist():
        image, failed = load_or_substitute(load, results['tracklet'].frames, position)
        results['bad_positions'].update(failed)
        yield image


def _each_once(load: Callable[[str], np.ndarray]) -> Callable[[str], np.ndarray]:
    """Wrap ``load`` so that each path is read only once, even if it fails."""
    known: dict[str, np.ndarray | FrameError] = {}

    def load_once(path: str) -> np.ndarray:
        if path not in known:
            try:
                known[path] = load(path)
            except FrameError as error:
                known[path] = error
        found = known[path]
        if isinstance(found, FrameError):
            raise found
        return found

    return load_once


def _where(results: dict[str, Any]) -> str:
    tracklet = results['tracklet']
    return f'frame of tracklet {results["index"]}, {tracklet.modality.value}, camera {tracklet.camera}'


def _remedy(results: dict[str, Any]) -> str:
    """Text that the error message about a bad frame appends to the storage's remedy."""
    choice = results.get('on_bad_frame')
    if choice is OnBadFrame.SKIP_TRACKLET:
        return "; it could be read when the dataset's frames were checked, see on_bad_frame in docs/reliability.md"
    return '' if choice is OnBadFrame.SUBSTITUTE else ", or set the dataset's on_bad_frame"
