"""Read a query: the frames of a tracklet's folder, of a picture, or of a video, cut to the person's box."""

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from dscreid.datasets.decoding import decode_frame, decode_with_cv2, image_size
from dscreid.datasets.storage import FolderFrames
from dscreid.datasets.storage.frame_storage import IMAGE_SUFFIXES
from dscreid.deployment.frames import paths_of
from dscreid.deployment.query_part import TO_THE_END, PixelBox, has_end
from dscreid.errors import DatasetError
from dscreid.tracks.video import VideoHeader, read_frames, read_header

Picture = npt.NDArray[np.uint8]

#: Maximum number of frames that are kept of a video, evenly spaced.
KEPT_FRAMES = 32
#: Larger persons are shrunk to this height.
MAX_HEIGHT = 1024
_ORIENTATION = 0x0112


def read_query(query: Path, box: PixelBox | None = None, frames: range | None = None) -> list[Path] | list[Picture]:
    """Read a query: a folder of pictures, one picture, or a video.

    Args:
        query: The folder or file.
        box: Place of the person in every frame; None for the whole picture.
        frames: Numbers of the frames of a folder or video; None for all.

    Returns:
        What ``TrackletInferencer`` takes: paths of pictures that are used as they are, or frames, each uint8 (h, w, 3)
        in RGB order, of a video at most ``KEPT_FRAMES``.

    Raises:
        DatasetError: If the query is missing or unreadable, a frame is beyond its end, or the box leaves the picture.
    """
    if query.is_file() and not _is_picture(query):
        return _read_clip(query, box, frames)
    paths = paths_of(query)
    if frames is not None:
        if query.is_file():
            raise DatasetError(f'{query}: is one picture; leave --frames out')
        _check_numbers(query, frames, len(paths))
        paths = paths[frames.start : frames.stop]
    if box is None and (query.is_dir() or orientation(query.read_bytes()) == 1):
        return paths
    return [_from_file(path, box) for path in paths]


def read_video(
    path: Path,
    header: VideoHeader,
    cut: Callable[[Picture], Picture],
    frames: range = TO_THE_END,
    backend: int = cv2.CAP_ANY,
) -> tuple[list[Picture], int]:
    """Read evenly spaced frames of a video from the first to the last, without holding many in memory.

    Args:
        path: The video.
        header: See ``read_header``.
        cut: Cuts the person out of a frame, uint8 (H, W, 3) in RGB order.
        frames: Numbers of the frames to choose from.
        backend: OpenCV's reader.

    Returns:
        At most ``KEPT_FRAMES`` frames, uint8 (h, w, 3), and how many the video has up to the end of ``frames``.
    """
    chosen = _Chosen(frames)
    kept: list[Picture] = []
    count = 0
    for number, _, image in read_frames(path, header, chosen, backend):
        if number >= frames.stop:
            break
        count = number + 1
        if image is not None and len(kept) == KEPT_FRAMES:
            kept = kept[::2]
            chosen.thin()
        if image is not None and number in chosen:
            kept.append(shrunk(cv2.cvtColor(cut(image), cv2.COLOR_BGR2RGB)))  # type: ignore[arg-type]
    return kept, count


def upright(image: Picture, content: bytes) -> Picture:
    """Turn a decoded picture, uint8 (h, w) or (h, w, 3), upright by its metadata; return uint8 (h, w, 3)."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    held = orientation(content)
    if held in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if held in (2, 3, 6, 7):
        image = image[:, ::-1]
    if held in (3, 4, 7, 8):
        image = image[::-1]
    return image


def orientation(content: bytes) -> int:
    """Read from a picture how its camera was held, 1 to 8; 1 is upright."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow raises many errors for damaged metadata; the picture itself is fine
        return 1


def shrunk(image: Picture) -> Picture:
    """Shrink a large person to ``MAX_HEIGHT``; the result is contiguous."""
    height, width = image.shape[:2]
    image = np.ascontiguousarray(image)
    if height <= MAX_HEIGHT:
        return image
    size = (max(1, round(width * MAX_HEIGHT / height)), MAX_HEIGHT)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


class _Chosen:
    """Numbers of frames, thinned while a video is read."""

    def __init__(self, numbers: range) -> None:
        self.numbers = numbers

    def __contains__(self, number: object) -> bool:
        return number in self.numbers

    def thin(self) -> None:
        self.numbers = self.numbers[::2]


def _read_clip(path: Path, box: PixelBox | None, frames: range | None) -> list[Picture]:
    header = read_header(path, fps=1.0)  # times do not matter
    if box is not None:
        _checked(box, header.size, path)
    cut = _whole if box is None else box.cut
    found, count = read_video(path, header, cut, frames or TO_THE_END)
    if frames is not None:
        _check_numbers(path, frames, count)
    if not found:
        raise DatasetError(f'{path}: no frame can be read; try: ffmpeg -i IN -c:v libx264 OUT.mp4')
    return found


def _from_file(path: Path, box: PixelBox | None) -> Picture:
    image = upright(decode_frame(FolderFrames(path.parent), path.name, decode_with_cv2), path.read_bytes())
    if box is not None:
        _checked(box, (image.shape[1], image.shape[0]), path)
        image = box.cut(image)
    return shrunk(image)


def _checked(box: PixelBox, size: tuple[int, int], path: Path) -> None:
    try:
        box.check(size)
    except DatasetError as error:
        raise DatasetError(f'{path}: {error}') from None


def _check_numbers(path: Path, frames: range, count: int) -> None:
    last = frames.stop - 1 if has_end(frames) else frames.start
    if last >= count:
        raise DatasetError(f'{path}: has no frame {last}; its {count} frames count from 0, choose others with --frames')


def _is_picture(path: Path) -> bool:
    with path.open('rb') as file:
        return path.suffix.lower() in IMAGE_SUFFIXES or image_size(file) is not None


def _whole(image: Picture) -> Picture:
    return image
