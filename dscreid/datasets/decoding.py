"""Image decoders: OpenCV, and libjpeg-turbo by simplejpeg's binding.

For every JPEG that both can read they give the same pixels, scaled decoding included. simplejpeg hands out RGB without
a conversion, and its wheel bundles libjpeg-turbo; PyTurboJPEG would need the system's.
"""

import logging
import math
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from mmengine.logging import print_log

from dscreid.datasets.storage import FrameFormat, FrameStorage
from dscreid.errors import ConfigError, FrameError

try:
    import simplejpeg
except ImportError:  # a platform without a wheel: the next best decoder is chosen, and the log says so
    simplejpeg = None

#: Content of an image file, and the (H, W) below which it must not be scaled (None: no scaling) → pixels, uint8
#: (H, W, 3) in RGB order or (H, W) of a grey file; None if the content is no image or was cut off.
Decoder = Callable[[bytes | memoryview, tuple[int, int] | None], np.ndarray | None]

SCALES = (8, 4, 2)
#: OpenCV's IMREAD_REDUCED_GRAYSCALE_*, to be joined with IMREAD_ANYCOLOR.
_REDUCED = {1: 0, 2: 16, 4: 32, 8: 64}
#: Start-of-frame markers of JPEG, which give the picture's size (DHT, JPG and DAC lie in between).
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def decode_with_cv2(
    content: bytes | memoryview, at_least: tuple[int, int] | None = None
) -> np.ndarray | None:
    """Decode a JPEG, PNG or other file that OpenCV knows. A rotation in its EXIF data is ignored.

    Args:
        content: Bytes of the file.
        at_least: (H, W) that the result of a scaled decoding must not fall below; None decodes every pixel.

    Returns:
        uint8 (H, W, 3) in RGB order, (H, W) of a grey file, or None if the bytes are no image or were cut off.
    """
    if not len(content):
        return None
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION | _REDUCED[jpeg_scale(content, at_least)]
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None
    return image if image is None or image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_with_turbojpeg(
    content: bytes | memoryview, at_least: tuple[int, int] | None = None
) -> np.ndarray | None:
    """Decode a JPEG with libjpeg-turbo; files of other kinds, and those that it refuses, are left to OpenCV.

    Args:
        content: Bytes of the file.
        at_least: See ``decode_with_cv2``.

    Returns:
        See ``decode_with_cv2``.
    """
    if content[:2] != b'\xff\xd8':
        return decode_with_cv2(content, at_least)
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        scale = _scale((height, width), at_least)
        smallest = (-(-height // scale), -(-width // scale)) if scale > 1 else (0, 0)
        space = 'gray' if colours == 'Gray' else 'rgb'
        image = simplejpeg.decode_jpeg(content, space, min_height=smallest[0], min_width=smallest[1])
    except ValueError:
        # CMYK, or damaged: OpenCV's verdict counts, so that no backend refuses what the other reads
        return decode_with_cv2(content, at_least)
    return image[..., 0] if space == 'gray' else image


def decode_frame(
    storage: FrameStorage, frame: str, decode: Decoder, at_least: tuple[int, int] | None = None
) -> np.ndarray:
    """Read and decode one frame.

    Args:
        storage: Where it lies.
        frame: Path relative to the dataset's root.
        decode: For image files.
        at_least: See ``decode_with_cv2``.

    Returns:
        uint8 (h, w, 3) in RGB order, or (h, w) of a grey file.

    Raises:
        FrameError: If the frame is missing, unreadable, or no whole image.
        DatasetError: See ``FrameStorage.read``.
    """
    image = decode_content(storage.read(frame), storage.frame_format, decode, at_least)
    if image is None:
        raise FrameError(f'{storage.root / frame}: not a complete image file; {storage.remedy}')
    return image


def decode_content(
    content: bytes | memoryview,
    packed: FrameFormat | None,
    decode: Decoder,
    at_least: tuple[int, int] | None = None,
) -> np.ndarray | None:
    """Pixels of what a storage gave.

    Args:
        content: An image file's bytes, or raw pixels.
        packed: The storage's ``frame_format``.
        decode: For image files.
        at_least: (H, W) that the result of a scaled decoding must not fall below; None decodes every pixel.

    Returns:
        uint8 (h, w, 3) in RGB order, (h, w) of a grey file, or None if an image file is damaged or pixels are missing.
    """
    if packed is not None and packed.encoding == 'raw':
        pixels = np.frombuffer(content, np.uint8)
        return pixels.reshape(*packed.size, 3) if len(pixels) == math.prod(packed.size) * 3 else None
    return decode(content, at_least)


DECODERS: dict[str, Decoder] = {'cv2': decode_with_cv2, 'turbojpeg': decode_with_turbojpeg}
BACKENDS = ('auto', *DECODERS)


def available_decoders() -> dict[str, Decoder]:
    """The decoders that this installation can run, by backend name."""
    return {name: decoder for name, decoder in DECODERS.items() if name == 'cv2' or simplejpeg is not None}


def choose_decoder(backend: str) -> tuple[str, Decoder]:
    """Decoder of a backend name.

    Args:
        backend: One of ``BACKENDS``; ``'auto'`` takes the fastest that is installed, and the log says which, once.

    Returns:
        Name and function.

    Raises:
        ConfigError: If the name is unknown or what it needs is not installed.
    """
    if backend not in BACKENDS:
        raise ConfigError(f'LoadFrames: backend must be one of {", ".join(BACKENDS)}, got {backend!r}')
    if backend == 'auto':
        backend = _fastest()
    if backend not in available_decoders():
        raise ConfigError(
            "LoadFrames: backend 'turbojpeg' needs the package simplejpeg (pip install simplejpeg); backend "
            "'auto' does without it"
        )
    return backend, DECODERS[backend]


def jpeg_scale(content: bytes | memoryview, at_least: tuple[int, int] | None) -> int:
    """By how much a JPEG may be scaled down while it is decoded.

    Args:
        content: Bytes of an image file.
        at_least: (H, W) that the result must not fall below; None forbids scaling.

    Returns:
        8, 4 or 2: a side of n pixels becomes ceil(n / scale); 1 where nothing may be scaled, and for other files.
    """
    if at_least is None:
        return 1
    size = jpeg_size(content)
    return 1 if size is None else _scale(size, at_least)


def jpeg_size(content: bytes | memoryview) -> tuple[int, int] | None:
    """(H, W) in the header of a JPEG; None for other files and damaged headers."""
    if content[:2] != b'\xff\xd8':
        return None
    position = 2
    while position + 9 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker in _FRAME_MARKERS:
            height, width = (
                int.from_bytes(content[position + at : position + at + 2], 'big') for at in (5, 7)
            )
            return height, width
        # a marker that is padded by another 0xFF has no length yet
        position += 1 if marker == 0xFF else 2 + int.from_bytes(content[position + 2 : position + 4], 'big')
    return None


def _scale(size: tuple[int, int], at_least: tuple[int, int] | None) -> int:
    """Largest of ``SCALES`` that keeps both sides long enough, or 1.

    Only powers of two: libjpeg-turbo has no fast code for the other factors, and OpenCV does not offer them.
    """
    if at_least is None:
        return 1
    for scale in SCALES:
        if all(-(-side // scale) >= wanted for side, wanted in zip(size, at_least, strict=True)):
            return scale
    return 1


@lru_cache(maxsize=1)
def _fastest() -> str:
    """Name of the fastest decoder; asked once per process, which is when the log is told."""
    if simplejpeg is not None:
        print_log(
            f'decoding frames with simplejpeg {simplejpeg.__version__} (libjpeg-turbo)', logger='current'
        )
        return 'turbojpeg'
    print_log(
        'decoding frames with OpenCV: simplejpeg is not installed; it gives the same pixels faster '
        '(pip install simplejpeg)',
        logger='current',
        level=logging.WARNING,
    )
    return 'cv2'
