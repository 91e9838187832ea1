"""Read and decode frames."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dscreid.datasets.bad_frames import OnBadFrame, load_or_substitute
from dscreid.datasets.frame_files import decode_frame, read_frame_bytes
from dscreid.errors import ConfigError, DatasetError, FrameError
from dscreid.registry import TRANSFORMS


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
        """Add the decoded frames to ``results``; a path that occurs twice is read once.

        With ``results['on_bad_frame']`` ``SUBSTITUTE`` the nearest readable frame of the tracklet stands in for one
        that cannot be read, and the positions of those that cannot are added to ``results['bad_positions']``.
        """
        load = _each_once(lambda path: self._load(path, results))
        if results.get('on_bad_frame') is OnBadFrame.SUBSTITUTE:
            frames = self._substituting(load, results)
        else:
            frames = [load(path) for path in results['frame_paths']]
        results['frames'] = np.stack(frames)
        return results

    def _substituting(self, load: Callable[[str], np.ndarray], results: dict[str, Any]) -> list[np.ndarray]:
        images = []
        for position in results['frame_indices'].tolist():
            image, failed = load_or_substitute(load, results['tracklet'].frames, position, _where(results))
            images.append(image)
            results['bad_positions'].update(failed)
        return images

    def _load(self, frame: str, results: dict[str, Any]) -> np.ndarray:
        try:
            image = decode_frame(read_frame_bytes(results['root'], frame))
        except DatasetError as error:
            raise type(error)(f'{error} ({_where(results)})') from None
        if image is None:
            raise FrameError(
                f'{Path(results["root"], frame)}: not a complete image file ({_where(results)}); unpack the dataset '
                f'archive again{_remedy(results)}'
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


def _each_once(load: Callable[[str], np.ndarray]) -> Callable[[str], np.ndarray]:
    """``load`` that reads each path once, also one that fails."""
    known: dict[str, np.ndarray | FrameError] = {}

    def load_once(path: str) -> np.ndarray:
        if path not in known:
            try:
                known[path] = load(path)
            except FrameError as error:
                known[path] = error
        if isinstance(known[path], FrameError):
            raise known[path]
        return known[path]

    return load_once


def _where(results: dict[str, Any]) -> str:
    tracklet = results['tracklet']
    return f'frame of tracklet {results["index"]}, {tracklet.modality.value}, camera {tracklet.camera}'


def _remedy(results: dict[str, Any]) -> str:
    if results.get('on_bad_frame') is OnBadFrame.SKIP_TRACKLET:
        return "; it could be read when the dataset's frames were checked, see on_bad_frame in docs/reliability.md"
    return ", or set the dataset's on_bad_frame"
