"""Check whether an image file is complete from its structure, without decoding it."""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dscreid.datasets.decoding import decode_with_cv2
from dscreid.datasets.frame_files import open_regular
from dscreid.datasets.image_size import (
    JPEG_START,
    MAX_PIXELS,
    PNG_START,
    image_size,
    is_too_large,
    png_size,
    walk_jpeg,
)
from dscreid.errors import FrameError

_HEAD, _TAIL = 4096, 512
_JPEG_END, _PNG_END = b'\xff\xd9', b'\x00\x00\x00\x00IEND\xaeB`\x82'

#: Reads a number of bytes of a file at an offset.
Read = Callable[[int, int], bytes]


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
    """Check the structure of an image file.

    JPEG files need start and end markers and a size in the frame header. PNG files need a signature, IHDR and IEND.
    Other files are decoded. At most a few kilobytes of a JPEG or PNG file are read, unless its end is not where it
    should be. Damage within the compressed data is not found, because that requires decoding. Images of more than
    ``MAX_PIXELS`` are reported as faulty and never decoded.

    Args:
        path: The file.

    Returns:
        The result; the content of the file never causes an exception.
    """
    try:
        descriptor = open_regular(path)
    except FrameError as error:
        return FrameHeader('missing' if 'is missing' in str(error) else 'unreadable')
    try:
        return _inspect(partial(os.pread, descriptor), os.fstat(descriptor).st_size)
    except OSError as error:
        return FrameHeader(f'unreadable ({error.strerror})')
    finally:
        os.close(descriptor)


def inspect_content(content: bytes | memoryview) -> FrameHeader:
    """Check the structure of an image file from its bytes, like ``read_header``."""
    return _inspect(lambda length, start: bytes(content[start : start + length]), len(content))


def _inspect(read: Read, num_bytes: int) -> FrameHeader:
    if num_bytes == 0:
        return FrameHeader('zero bytes')
    head, tail = read(_HEAD, 0), b''
    if num_bytes > _HEAD:
        tail = read(_TAIL, max(num_bytes - _TAIL, _HEAD))
    digest = zlib.crc32(tail, zlib.crc32(head))
    if head.startswith(JPEG_START):
        fault, size = _inspect_jpeg(read, num_bytes, head, tail)
    elif head.startswith(PNG_START):
        fault, size = _inspect_png(read, num_bytes, head, tail)
    else:
        content = read(num_bytes, 0)
        size = image_size(content)
        image = decode_with_cv2(content)
        fault, size = ('no image', size) if image is None else (None, image.shape[:2])
    if is_too_large(size):
        fault, size = f'claims more than {MAX_PIXELS // 10**6} million pixels', None
    return FrameHeader(fault, num_bytes, size, digest)


def _inspect_jpeg(
    read: Read, num_bytes: int, head: bytes, tail: bytes
) -> tuple[str | None, tuple[int, int] | None]:
    scan, size = walk_jpeg(head)
    if scan is None and num_bytes > len(head):  # large metadata
        scan, size = walk_jpeg(read(num_bytes, 0))
    if scan is None:
        return 'truncated or malformed header', size
    if size is None or 0 in size:
        return 'header without a size', size
    # a preview in the metadata has its own end marker, before the scan
    ended = _JPEG_END in tail or _JPEG_END in head[scan:]
    if not ended and num_bytes > len(head):  # marker split between the reads, or much data after the image
        ended = read(num_bytes, 0).find(_JPEG_END, scan) >= 0
    return (None if ended else 'truncated'), size


def _inspect_png(
    read: Read, num_bytes: int, head: bytes, tail: bytes
) -> tuple[str | None, tuple[int, int] | None]:
    size = png_size(head)
    if size is None:
        return 'truncated or malformed header', None
    if 0 in size:
        return 'header without a size', size
    ended = _PNG_END in tail or _PNG_END in head
    if not ended and num_bytes > len(head):
        ended = read(num_bytes, 0).rfind(_PNG_END) >= 0
    return (None if ended else 'truncated'), size
