"""Image decoders: OpenCV, and libjpeg-turbo through simplejpeg.

For every JPEG that both can read, they give the same pixels, also with scaled decoding. simplejpeg returns RGB without
a conversion, and its wheel bundles libjpeg-turbo; PyTurboJPEG would need the system library.
"""

import logging
import math
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from mmengine.logging import print_log

from dscreid.datasets.image_size import JPEG_START, MAX_PIXELS, image_size, is_too_large
from dscreid.datasets.storage import FrameStorage
from dscreid.errors import ConfigError, FrameError

try:
    import simplejpeg
except ImportError:  # no wheel for this platform: the next best decoder is used and logged
    simplejpeg = None

#: Maps the content of an image file and the minimum (H, W) of scaled decoding (None: no scaling) to pixels, uint8
#: (H, W, 3) in RGB order or (H, W) for a gray file; None if the content is not an image or is truncated.
Decoder = Callable[[bytes | memoryview, tuple[int, int] | None], np.ndarray | None]

SCALES = (8, 4, 2)
#: OpenCV's IMREAD_REDUCED_GRAYSCALE_* flags, to be combined with IMREAD_ANYCOLOR.
_REDUCED = {1: 0, 2: 16, 4: 32, 8: 64}


def decode_with_cv2(content: bytes | memoryview, at_least: tuple[int, int] | None = None) -> np.ndarray | None:
    """Decode a JPEG, PNG or other file that OpenCV supports. A rotation in its EXIF data is ignored.

    Args:
        content: Bytes of the file.
        at_least: Minimum (H, W) of the result of scaled decoding; None decodes at full size.

    Returns:
        uint8 (H, W, 3) in RGB order, (H, W) for a gray file, or None if the bytes are not an image, are truncated, or
        claim more than ``MAX_PIXELS``.
    """
    size = image_size(content)
    if not len(content) or is_too_large(size):
        return None
    scale = jpeg_scale(size, at_least) if content[:2] == JPEG_START else 1
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION | _REDUCED[scale]
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None
    return image if image is None or image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_with_turbojpeg(content: bytes | memoryview, at_least: tuple[int, int] | None = None) -> np.ndarray | None:
    """Decode a JPEG with libjpeg-turbo, and other or rejected files with OpenCV; see ``decode_with_cv2``."""
    if content[:2] != JPEG_START:
        return decode_with_cv2(content, at_least)
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(content)
        if is_too_large((height, width)):
            return None
        scale = jpeg_scale((height, width), at_least)
        smallest = (-(-height // scale), -(-width // scale)) if scale > 1 else (0, 0)
        space = 'gray' if colors == 'Gray' else 'rgb'
        image = simplejpeg.decode_jpeg(content, space, min_height=smallest[0], min_width=smallest[1])
    except ValueError:
        # CMYK or damaged: OpenCV decides, so that no backend rejects a file that the other can read
        return decode_with_cv2(content, at_least)
    return image[..., 0] if space == 'gray' else image


def decode_frame(
    storage: FrameStorage, frame: str, decode: Decoder, at_least: tuple[int, int] | None = None
) -> np.ndarray:
    """Read and decode one frame.

    Args:
        storage: Storage of the frame.
        frame: Path relative to the dataset's root.
        decode: Decoder for image files.
        at_least: See ``decode_with_cv2``.

    Returns:
        uint8 (h, w, 3) in RGB order, or (h, w) for a gray file.

    Raises:
        FrameError: If the frame is missing, unreadable, or not a complete image.
        DatasetError: See ``FrameStorage.read``.
    """
    content, packed = storage.read(frame), storage.frame_format
    image: np.ndarray | None
    if packed is not None and packed.encoding == 'raw':
        pixels = np.frombuffer(content, np.uint8)
        image = pixels.reshape(*packed.size, 3) if len(pixels) == math.prod(packed.size) * 3 else None
    else:
        image = decode(content, at_least)
    if image is None:
        fault = 'not a complete image file'
        if is_too_large(image_size(content)):
            fault = f'claims more than {MAX_PIXELS // 10**6} million pixels'
        raise FrameError(f'{storage.root / frame}: {fault}; {storage.remedy}')
    return image


DECODERS: dict[str, Decoder] = {'cv2': decode_with_cv2, 'turbojpeg': decode_with_turbojpeg}
BACKENDS = ('auto', *DECODERS)


def available_decoders() -> dict[str, Decoder]:
    """Decoders available in this installation, by backend name."""
    return {name: decoder for name, decoder in DECODERS.items() if name == 'cv2' or simplejpeg is not None}


def choose_decoder(backend: str) -> tuple[str, Decoder]:
    """Choose a decoder by backend name; ``'auto'`` is the fastest one installed, and is logged once.

    Returns:
        Name and function of the decoder.

    Raises:
        ConfigError: If the name is unknown or a package it needs is not installed.
    """
    if backend not in BACKENDS:
        raise ConfigError(f'LoadFrames: backend must be one of {", ".join(BACKENDS)}, got {backend!r}')
    if backend == 'auto':
        backend = _fastest()
    if backend not in available_decoders():
        raise ConfigError(
            "LoadFrames: backend 'turbojpeg' needs the package simplejpeg (pip install simplejpeg); backend "
            "'auto' works without it"
        )
    return backend, DECODERS[backend]


def jpeg_scale(size: tuple[int, int] | None, at_least: tuple[int, int] | None) -> int:
    """Choose the factor by which a JPEG is scaled down during decoding.

    Only powers of two are used, because libjpeg-turbo has no fast code for other factors and OpenCV does not
    support them.

    Args:
        size: (H, W) of the file; None if unknown.
        at_least: Minimum (H, W) of the result; None disables scaling.

    Returns:
        8, 4 or 2 (a side of n pixels becomes ceil(n / scale)), or 1.
    """
    if size is None or at_least is None:
        return 1
    for scale in SCALES:
        if all(-(-side // scale) >= wanted for side, wanted in zip(size, at_least, strict=True)):
            return scale
    return 1


@lru_cache(maxsize=1)
def _fastest() -> str:
    """Name of the fastest decoder, determined and logged once per process."""
    if simplejpeg is not None:
        print_log(f'decoding frames with simplejpeg {simplejpeg.__version__} (libjpeg-turbo)', logger='current')
        return 'turbojpeg'
    print_log(
        'decoding frames with OpenCV: simplejpeg is not installed; it gives the same pixels faster '
        '(pip install simplejpeg)',
        logger='current',
        level=logging.WARNING,
    )
    return 'cv2'
