"""Read the size of an image file from its header, without decoding."""

import io

from PIL import Image

JPEG_START, PNG_START = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
#: The largest frame that is decoded, in pixels. A tiny file may claim billions of pixels and fill the memory.
MAX_PIXELS = 100_000_000
#: Start-of-frame markers (ITU-T T.81, table B.1); C4, C8 and CC are not among them.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
#: Markers without a length: TEM, RST0 to RST7, SOI.
_BARE_MARKERS = frozenset((0x01, *range(0xD0, 0xD9)))


def image_size(content: bytes | memoryview) -> tuple[int, int] | None:
    """Read (height, width) in pixels from an image file or its beginning; None if it is not a supported image.

    Sizes far above ``MAX_PIXELS`` may be returned as (``MAX_PIXELS``, ``MAX_PIXELS``).
    """
    if content[:2] == JPEG_START:
        return walk_jpeg(content)[1]
    if content[:8] == PNG_START:
        return png_size(content)
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.height, image.width
    except Image.DecompressionBombError:  # size unknown, but larger than MAX_PIXELS
        return MAX_PIXELS, MAX_PIXELS
    except (OSError, ValueError, SyntaxError):
        return None


def is_too_large(size: tuple[int, int] | None) -> bool:
    """Check whether an image of this (height, width) exceeds ``MAX_PIXELS``; False if the size is unknown."""
    return size is not None and size[0] * size[1] > MAX_PIXELS


def png_size(content: bytes | memoryview) -> tuple[int, int] | None:
    """Read (height, width) from the IHDR chunk at the beginning of a PNG file; None if it is missing."""
    if len(content) < 33 or content[12:16] != b'IHDR':
        return None
    return int.from_bytes(content[20:24], 'big'), int.from_bytes(content[16:20], 'big')


def walk_jpeg(content: bytes | memoryview) -> tuple[int | None, tuple[int, int] | None]:
    """Walk the segments of a JPEG file, or its beginning, up to its first scan.

    Returns:
        Offset of the scan, or None if the content ends or is malformed before it; and (height, width), or None if no
        frame header was found up to that point.
    """
    size, at = None, len(JPEG_START)
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return None, size
        marker = content[at + 1]
        if marker == 0xFF or marker in _BARE_MARKERS:  # 0xFF is a fill byte
            at += 1 if marker == 0xFF else 2
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
