"""Check whether an image file is complete from its structure, usually without decoding it."""

import io
import os
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from dscreid.datasets.decoding import JPEG_START, TOO_LARGE, decode_with_cv2, image_size, is_too_large
from dscreid.datasets.frame_files import open_regular
from dscreid.errors import FrameError

_HEAD, _TAIL = 4096, 512
_JPEG_END = b'\xff\xd9'
_PNG_START, _PNG_END = b'\x89PNG\r\n\x1a\n', b'\x00\x00\x00\x00IEND\xaeB`\x82'


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Result of checking a file's structure.

    Attributes:
        fault: Short reason why the file cannot be used as a frame; None for a complete image.
        num_bytes: Size of the file; 0 if it cannot be read.
        size: (height, width) in pixels if the header contains them.
        digest: CRC-32 of the file's first and last bytes. Equal files have equal digests, but not vice versa.
    """

    fault: str | None
    num_bytes: int = 0
    size: tuple[int, int] | None = None
    digest: int = 0


def read_header(path: str) -> FrameHeader:
    """Check the structure of an image file; its content never causes an exception.

    JPEG and PNG files need a readable header and an end marker; damage within their compressed data is not found.
    Other files are decoded. Images of more than ``MAX_PIXELS`` are faulty.
    """
    try:
        descriptor = open_regular(path)
    except FrameError as error:
        return FrameHeader('missing' if 'is missing' in str(error) else 'unreadable')
    try:
        with open(descriptor, 'rb') as file:
            return _inspect(file)
    except OSError as error:
        return FrameHeader(f'unreadable ({error.strerror})')


def inspect_content(content: bytes | memoryview) -> FrameHeader:
    """Check the structure of an image file from its bytes, like ``read_header``."""
    return _inspect(io.BytesIO(content))


def _inspect(file: BinaryIO) -> FrameHeader:
    head = file.read(_HEAD)
    num_bytes = file.seek(0, os.SEEK_END)
    if num_bytes == 0:
        return FrameHeader('zero bytes')
    file.seek(max(num_bytes - _TAIL, 0))
    tail = file.read()
    file.seek(0)
    size = image_size(file)
    fault: str | None
    if is_too_large(size):
        fault, size = TOO_LARGE, None
    elif size is None:
        known = head.startswith((JPEG_START, _PNG_START))
        fault = 'truncated or malformed header' if known else 'no image'
    else:
        fault = _truncation(file, head, tail)
    return FrameHeader(fault, num_bytes, size, zlib.crc32(tail, zlib.crc32(head)))


def _truncation(file: BinaryIO, head: bytes, tail: bytes) -> str | None:
    """Look for the end marker of a file whose header was just read."""
    if head.startswith(JPEG_START):
        # Pillow stops reading where the scan begins; a preview in the metadata before it has an end marker too
        return None if tail.endswith(_JPEG_END) or _JPEG_END in file.read() else 'truncated'
    if head.startswith(_PNG_START):
        return None if _PNG_END in tail or _PNG_END in file.read() else 'truncated'
    file.seek(0)
    return 'no image' if decode_with_cv2(file.read()) is None else None
