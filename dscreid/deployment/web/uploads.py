"""Turn uploaded pictures, or a short video, into the frames of a query. Nothing of them is trusted."""

import io
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from dscreid.datasets.decoding import decode_with_cv2, image_size
from dscreid.errors import DatasetError

Picture = npt.NDArray[np.uint8]

MAX_FILES = 32
MAX_PICTURE_BYTES, MAX_VIDEO_BYTES = 20 * 10**6, 60 * 10**6
#: Largest body of a request: the files and what is between them.
MAX_BYTES = 64 * 10**6
MAX_PIXELS = 50 * 10**6
#: Frames of a video beyond this one are not read.
MAX_VIDEO_FRAMES = 1800
#: Frames that are kept of a video, evenly spaced.
KEPT_FRAMES = 32
#: Larger persons are shrunk to this height.
_MAX_HEIGHT = 1024
_LEAST_SIDE = 8
_ORIENTATION = 0x0112
#: FFmpeg would also read play lists, which can name other files and addresses.
_FFMPEG = 'protocol_whitelist;file|format_whitelist;mov,matroska,webm,avi'


@dataclass(frozen=True)
class Box:
    """The person's place in a picture, as shares of its width and height in [0, 1]."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def cut(self, image: Picture) -> Picture:
        """Cut the box out. Raises DatasetError if little or nothing is left."""
        height, width = image.shape[:2]
        left, right = (round(width * max(0.0, min(1.0, x))) for x in (self.left, self.left + self.width))
        top, bottom = (round(height * max(0.0, min(1.0, y))) for y in (self.top, self.top + self.height))
        if right - left < _LEAST_SIDE or bottom - top < _LEAST_SIDE:
            raise DatasetError(
                f'the person is smaller than {_LEAST_SIDE} pixels or outside the picture; draw a larger box'
            )
        return image[top:bottom, left:right]


def parse_box(text: str) -> Box:
    """Parse ``left,top,width,height``; '' is the whole picture. Raises DatasetError."""
    if not text:
        return Box()
    try:
        values = [float(value) for value in text.split(',')]
    except ValueError:
        values = []
    if len(values) != 4 or not all(math.isfinite(value) for value in values):
        raise DatasetError(f'{text[:60]!r} is not a box; give left,top,width,height as shares of the picture')
    return Box(*values)


def query_frames(contents: Sequence[bytes], box: Box) -> list[Picture]:
    """Decode the files of a query, each uint8 (h, w, 3) in RGB order, upright and cut to the box.

    Args:
        contents: Pictures (JPEG, PNG, WebP) in temporal order, or one video (MP4, MOV, WebM, MKV, AVI).
        box: Place of the person.

    Raises:
        DatasetError: If a file is something else, damaged or too large, or there are too many.
    """
    if not contents:
        raise DatasetError('choose at least one picture, or a video')
    if len(contents) > MAX_FILES:
        raise DatasetError(f'{len(contents)} files are too many; choose at most {MAX_FILES} pictures, or one video')
    for number, content in enumerate(contents, 1):
        if not content:
            raise DatasetError(f'file {number}: is empty; choose another one')
    kinds = [kind_of(content) for content in contents]
    if 'video' in kinds:
        if len(contents) > 1:
            raise DatasetError('choose one video, or only pictures')
        return [_shrunk(box.cut(frame)) for frame in _video(contents[0])]
    return [_shrunk(box.cut(_picture(content, number))) for number, content in enumerate(contents, 1)]


def kind_of(content: bytes) -> str:
    """Tell pictures from videos by their first bytes: ``'picture'``, ``'video'`` or ``''``; names do not count."""
    riff = content[8:12] if content[:4] == b'RIFF' else b''
    if content[:3] == b'\xff\xd8\xff' or content[:8] == b'\x89PNG\r\n\x1a\n' or riff == b'WEBP':
        return 'picture'
    if content[4:8] == b'ftyp' and content[8:12] not in (b'heic', b'heix', b'mif1', b'msf1', b'avif'):
        return 'video'
    return 'video' if content[:4] == b'\x1a\x45\xdf\xa3' or riff == b'AVI ' else ''


def _picture(content: bytes, number: int) -> Picture:
    if kind_of(content) != 'picture':
        raise DatasetError(f'file {number}: is neither a JPEG, PNG or WebP picture nor a video; convert it first')
    if len(content) > MAX_PICTURE_BYTES:
        raise DatasetError(f'file {number}: is larger than {MAX_PICTURE_BYTES // 10**6} MB; choose a smaller picture')
    size = image_size(content)
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        raise DatasetError(f'file {number}: has more than {MAX_PIXELS // 10**6} million pixels; choose a smaller one')
    image = None if size is None else decode_with_cv2(content)
    if image is None:
        raise DatasetError(f'file {number}: is not a complete picture; choose another one')
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return _upright(image, _orientation(content))


def _orientation(content: bytes) -> int:
    """Read how a phone was held, 1 to 8."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # whatever Pillow makes of damaged metadata; the picture itself is fine
        return 1


def _upright(image: Picture, orientation: int) -> Picture:
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def _video(content: bytes) -> list[Picture]:
    if len(content) > MAX_VIDEO_BYTES:
        raise DatasetError(f'the video is larger than {MAX_VIDEO_BYTES // 10**6} MB; choose a shorter one')
    with tempfile.NamedTemporaryFile(prefix='dscreid-', suffix='.video') as file:
        file.write(content)
        file.flush()
        frames = _evenly(_frames_of(file.name))
    if not frames:
        raise DatasetError('the video has no readable frame; convert it to MP4 (H.264)')
    return frames


def _frames_of(path: str) -> Iterator[Picture]:
    os.environ.setdefault('OPENCV_FFMPEG_CAPTURE_OPTIONS', _FFMPEG)
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '8')
    video = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    try:
        if video.get(cv2.CAP_PROP_FRAME_WIDTH) * video.get(cv2.CAP_PROP_FRAME_HEIGHT) > MAX_PIXELS:
            raise DatasetError('the frames of the video are too large; choose a smaller video')
        for _ in range(MAX_VIDEO_FRAMES):
            read, frame = video.read()
            if not read:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)  # type: ignore[misc]  # cv2 does not tell the dtype
    finally:
        video.release()


def _evenly(frames: Iterator[Picture]) -> list[Picture]:
    """Keep evenly spaced frames of a stream of unknown length, without ever holding many."""
    kept: list[Picture] = []
    step = 1
    for number, frame in enumerate(frames):
        if number % step:
            continue
        if len(kept) == KEPT_FRAMES:
            kept = kept[::2]
            step *= 2
            if number % step:
                continue
        kept.append(frame)
    return kept


def _shrunk(image: Picture) -> Picture:
    height, width = image.shape[:2]
    if height <= _MAX_HEIGHT:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * _MAX_HEIGHT / height)), _MAX_HEIGHT)
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
