"""Turn uploaded pictures, or a short video, into the frames of a query. The uploaded content is not trusted."""

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from dscreid.datasets.decoding import decode_with_cv2, image_size
from dscreid.deployment.query_frames import Picture, read_video, shrunk, upright
from dscreid.deployment.query_part import LEAST_SIDE
from dscreid.errors import DatasetError
from dscreid.tracks.video import VideoHeader, read_header

MAX_FILES = 32
MAX_PICTURE_BYTES, MAX_VIDEO_BYTES = 20 * 10**6, 60 * 10**6
#: Largest body of a request: the files and what is between them.
MAX_BYTES = 64 * 10**6
MAX_PIXELS = 50 * 10**6
#: Frames of a video beyond this one are not read.
MAX_VIDEO_FRAMES = 1800
#: FFmpeg would also read play lists, which can name other files and addresses.
_FFMPEG = 'protocol_whitelist;file|format_whitelist;mov,matroska,webm,avi'
_UNREADABLE = 'the video has no readable frame; convert it to MP4 (H.264)'


@dataclass(frozen=True)
class Box:
    """The person's place in a picture, as shares of its width and height in [0, 1]."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def cut(self, image: Picture) -> Picture:
        """Cut out what is inside the picture. Raises DatasetError if little or nothing is left."""
        height, width = image.shape[:2]
        left, right = (round(width * max(0.0, min(1.0, x))) for x in (self.left, self.left + self.width))
        top, bottom = (round(height * max(0.0, min(1.0, y))) for y in (self.top, self.top + self.height))
        if min(right - left, bottom - top) < LEAST_SIDE:
            raise DatasetError(
                f'the person is smaller than {LEAST_SIDE} pixels or outside the picture; draw a larger box'
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
        return _video(contents[0], box)
    return [shrunk(box.cut(_picture(content, number))) for number, content in enumerate(contents, 1)]


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
    return upright(image, content)


def _video(content: bytes, box: Box) -> list[Picture]:
    if len(content) > MAX_VIDEO_BYTES:
        raise DatasetError(f'the video is larger than {MAX_VIDEO_BYTES // 10**6} MB; choose a shorter one')
    os.environ.setdefault('OPENCV_FFMPEG_CAPTURE_OPTIONS', _FFMPEG)
    with tempfile.NamedTemporaryFile(prefix='dscreid-', suffix='.video') as file:
        file.write(content)
        file.flush()
        path = Path(file.name)
        header = _header(path)
        if math.prod(header.size) > MAX_PIXELS:
            raise DatasetError('the frames of the video are too large; choose a smaller video')
        frames, _ = read_video(path, header, box.cut, range(MAX_VIDEO_FRAMES), cv2.CAP_FFMPEG)
    if not frames:
        raise DatasetError(_UNREADABLE)
    return frames


def _header(path: Path) -> VideoHeader:
    try:
        return read_header(path, 1.0, cv2.CAP_FFMPEG)
    except DatasetError:
        raise DatasetError(_UNREADABLE) from None
