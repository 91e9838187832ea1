"""Image files that tests make by hand."""

import struct
import zlib


def with_size(content, height, width):
    """A baseline JPEG or a PNG whose header claims another size."""
    if content.startswith(b'\xff\xd8'):
        at = content.index(b'\xff\xc0') + 5
        return content[:at] + struct.pack('>HH', height, width) + content[at + 4 :]
    header = b'IHDR' + struct.pack('>II', width, height) + content[24:29]
    return content[:12] + header + struct.pack('>I', zlib.crc32(header)) + content[33:]
