"""Whether an image file is whole, judged by its structure without decoding it."""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dscreid.datasets.decoding import decode_with_cv2
from dscreid.datasets.frame_files import open_regular
from dscreid.errors import FrameError

_HEAD, _TAIL = 4096, 512
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_PNG_START, _PNG_END = b'\x89PNG\r\n\x1a\n', b'\x00\x00\x00\x00IEND\xaeB`\x82'
#: Start-of-frame markers (ITU-T T.81, table B.1), of which C4, C8 and CC are none.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
#: Markers without a length: TEM, RST0 to RST7, SOI.
_BARE_MARKERS = frozenset((0x01, *range(0xD0, 0xD9)))


#: Bytes of a file by their number and their offset.
Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What a file's structure tells.

    Attributes:
        fault: Why the file is no whole image, in a few words; None for a whole one.
        num_bytes: Size of the file; 0 where it cannot be read.
        size: (height, width) in pixels where the header gives them.
        digest: CRC-32 of the file's first and last bytes: equal files have equal digests, not the other way round.
    """

    fault: str | None
    num_bytes: int = 0
    size: tuple[int, int] | None = None
    digest: int = 0


def read_header(path: str) -> FrameHeader:
    """Check an image file by its structure.

    JPEG: start and end markers and the size in the frame header; PNG: signature, IHDR and IEND; of every other kind
    the whole file is decoded. At most some kilobytes of a JPEG or PNG file are read, unless its end is not where it
    should be. Damage within the compressed data is not found: that takes a decoder.

    Args:
        path: The file.

    Returns:
        What was found; never an exception for what the file holds.
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
    """Check an image file by its structure, as ``read_header`` does, from its bytes."""
    return _inspect(lambda length, start: bytes(content[start : start + length]), len(content))


def _inspect(read: Read, num_bytes: int) -> FrameHeader:
    if num_bytes == 0:
        return FrameHeader('zero bytes')
    head, tail = read(_HEAD, 0), b''
    if num_bytes > _HEAD:
        tail = read(_TAIL, max(num_bytes - _TAIL, _HEAD))
    digest = zlib.crc32(tail, zlib.crc32(head))
    if head.startswith(_JPEG_START):
        fault, size = _inspect_jpeg(read, num_bytes, head, tail)
    elif head.startswith(_PNG_START):
        fault, size = _inspect_png(read, num_bytes, head, tail)
    else:
        image = decode_with_cv2(read(num_bytes, 0))
        fault, size = ('no image', None) if image is None else (None, image.shape[:2])
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
    # a preview within the metadata has an end of its own, before the scan
    ended = _JPEG_END in tail or _JPEG_END in head[scan:]
    if not ended and num_bytes > len(head):  # cut in two by the reads, or much behind the image's end
        ended = read(num_bytes, 0).find(_JPEG_END, scan) >= 0
    return (None if ended else 'truncated'), size


def walk_jpeg(content: bytes) -> tuple[int | None, tuple[int, int] | None]:
    """Walk the segments of a JPEG file to its first scan.

    Args:
        content: The file, or its beginning.

    Returns:
        Offset of the scan, None where the content ends or breaks before it, and (height, width), None where no frame
        header came.
    """
    size, at = None, len(_JPEG_START)
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return None, size
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _BARE_MARKERS:
            at += 2
            continue
        if marker == _SCAN:
            return at, size
        length = int.from_bytes(content[at + 2 : at + 4], 'big')
        if marker == _END_OF_IMAGE or length < 2:
            return None, size
        if marker in _FRAME_MARKERS and at + 9 <= len(content):
            size = (
                int.from_bytes(content[at + 5 : at + 7], 'big'),
                int.from_bytes(content[at + 7 : at + 9], 'big'),
            )
        at += 2 + length
    return None, size


def _inspect_png(
    read: Read, num_bytes: int, head: bytes, tail: bytes
) -> tuple[str | None, tuple[int, int] | None]:
    if len(head) < 33 or head[12:16] != b'IHDR':
        return 'truncated or malformed header', None
    width, height = int.from_bytes(head[16:20], 'big'), int.from_bytes(head[20:24], 'big')
    if not (width and height):
        return 'header without a size', (height, width)
    ended = _PNG_END in tail or _PNG_END in head
    if not ended and num_bytes > len(head):
        ended = read(num_bytes, 0).rfind(_PNG_END) >= 0
    return (None if ended else 'truncated'), (height, width)
