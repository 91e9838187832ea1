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
    """Check the structure of an image file; its content never causes an exception.

    JPEG files need start and end markers and a size in the frame header. PNG files need a signature, IHDR and IEND.
    Other files are decoded. Usually only a few kilobytes of a JPEG or PNG file are read; damage within the compressed
    data is not found. Images of more than ``MAX_PIXELS`` are faulty and never decoded.
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
    head = read(_HEAD, 0)
    tail = read(_TAIL, max(num_bytes - _TAIL, _HEAD)) if num_bytes > _HEAD else b''
    digest = zlib.crc32(tail, zlib.crc32(head))
    if head.startswith((JPEG_START, PNG_START)):
        fault, size = _inspect_structure(read, num_bytes, head, tail)
    else:
        content = read(num_bytes, 0)
        image = decode_with_cv2(content)
        fault, size = ('no image', image_size(content)) if image is None else (None, image.shape[:2])
    if is_too_large(size):
        fault, size = f'claims more than {MAX_PIXELS // 10**6} million pixels', None
    return FrameHeader(fault, num_bytes, size, digest)


def _inspect_structure(
    read: Read, num_bytes: int, head: bytes, tail: bytes
) -> tuple[str | None, tuple[int, int] | None]:
    """Check header and end marker of a JPEG or PNG file; return the fault and the size."""
    data: int | None
    if head.startswith(PNG_START):
        end, size = _PNG_END, png_size(head)
        data = None if size is None else 0
    else:
        end = _JPEG_END
        data, size = walk_jpeg(head)
        if data is None and num_bytes > len(head):  # large metadata
            data, size = walk_jpeg(read(num_bytes, 0))
    if data is None:
        return 'truncated or malformed header', size
    if size is None or 0 in size:
        return 'header without a size', size
    # a preview in the metadata of a JPEG has its own end marker, before the scan
    ended = end in tail or end in head[data:]
    if not ended and num_bytes > len(head):  # marker split between the reads, or much data after the image
        ended = read(num_bytes, 0).find(end, data) >= 0
    return (None if ended else 'truncated'), size
