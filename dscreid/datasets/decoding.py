"""Image decoders: OpenCV, and libjpeg-turbo through simplejpeg; they give the same pixels for the same JPEG."""

import io
import logging
import math
from collections.abc import Callable
from functools import lru_cache
from typing import BinaryIO

import cv2
import numpy as np
from mmengine.logging import print_log
from PIL import Image

from dscreid.datasets.storage import FrameStorage
from dscreid.errors import ConfigError, FrameError

try:
    import simplejpeg
except ImportError:  # no wheel for this platform: the next best decoder is used and logged
    simplejpeg = None

#: Maps the content of an image file and the minimum (H, W) of scaled decoding (None: no scaling) to pixels, uint8
#: (H, W, 3) in RGB order or (H, W) for a gray file; None if the content is not an image or is truncated.
Decoder = Callable[[bytes | memoryview, tuple[int, int] | None], np.ndarray | None]

JPEG_START = b'\xff\xd8'
#: The largest frame that is decoded, in pixels. A tiny file may claim billions of pixels and fill the memory.
MAX_PIXELS = 100_000_000
TOO_LARGE = f'claims more than {MAX_PIXELS // 10**6} million pixels'
#: OpenCV's IMREAD_REDUCED_GRAYSCALE_* flags, to be combined with IMREAD_ANYCOLOR, by factor.
_REDUCED = {8: 64, 4: 32, 2: 16, 1: 0}


def image_size(content: bytes | memoryview | BinaryIO) -> tuple[int, int] | None:
    """Read (height, width) in pixels from the header of an image file; None if it is not a supported image.

    Sizes far above ``MAX_PIXELS`` are returned as (``MAX_PIXELS``, ``MAX_PIXELS``).
    """
    try:
        with Image.open(io.BytesIO(content) if isinstance(content, (bytes, memoryview)) else content) as image:
            return image.height, image.width
    except Image.DecompressionBombError:
        return MAX_PIXELS, MAX_PIXELS
    except (OSError, ValueError, SyntaxError):
        return None


def is_too_large(size: tuple[int, int] | None) -> bool:
    """Check whether an image of this (height, width) exceeds ``MAX_PIXELS``; False if the size is unknown."""
    return size is not None and math.prod(size) > MAX_PIXELS


def decode_with_cv2(content: bytes | memoryview, at_least: tuple[int, int] | None = None) -> np.ndarray | None:
    """Decode a JPEG, PNG or other file that OpenCV and Pillow support, with the arguments and result of ``Decoder``.

    Images of more than ``MAX_PIXELS`` are not decoded; a rotation in the EXIF data is ignored.
    """
    size = image_size(content)
    if size is None or is_too_large(size):
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
    """Read and decode one frame, uint8 (h, w, 3) in RGB order, or (h, w) for a gray file; raises FrameError."""
    content, packed = storage.read(frame), storage.frame_format
    image: np.ndarray | None
    if packed is not None and packed.encoding == 'raw':
        pixels = np.frombuffer(content, np.uint8)
        image = pixels.reshape(*packed.size, 3) if len(pixels) == math.prod(packed.size) * 3 else None
    else:
        image = decode(content, at_least)
    if image is None:
        fault = TOO_LARGE if is_too_large(image_size(content)) else 'not a complete image file'
        raise FrameError(f'{storage.root / frame}: {fault}; {storage.remedy}')
    return image


DECODERS: dict[str, Decoder] = {'cv2': decode_with_cv2, 'turbojpeg': decode_with_turbojpeg}


def available_decoders() -> dict[str, Decoder]:
    """Decoders available in this installation, by backend name."""
    return {name: decoder for name, decoder in DECODERS.items() if name == 'cv2' or simplejpeg is not None}


def choose_decoder(backend: str) -> tuple[str, Decoder]:
    """Choose name and decoder by backend name; ``'auto'`` is the fastest one, logged once. Raises ConfigError."""
    name = _fastest() if backend == 'auto' else backend
    if name not in DECODERS:
        raise ConfigError(f'LoadFrames: backend must be one of {", ".join(("auto", *DECODERS))}, got {backend!r}')
    if name not in available_decoders():
        raise ConfigError("LoadFrames: backend 'turbojpeg' needs the package simplejpeg; 'auto' works without it")
    return name, DECODERS[name]


def jpeg_scale(size: tuple[int, int], at_least: tuple[int, int] | None) -> int:
    """Choose the largest factor by which decoding may shrink a JPEG of this (H, W) to at least ``at_least``.

    Only 8, 4, 2 and 1 (a side of n pixels becomes ceil(n / factor)): OpenCV supports no others, and libjpeg-turbo has
    no fast code for them.
    """
    if at_least is None:
        return 1
    return next((f for f in _REDUCED if all(-(-n // f) >= m for n, m in zip(size, at_least, strict=True))), 1)


@lru_cache(maxsize=1)
def _fastest() -> str:
    faster = simplejpeg is not None
    name = 'simplejpeg (libjpeg-turbo)' if faster else 'OpenCV; pip install simplejpeg for the same pixels faster'
    print_log(f'decoding frames with {name}', logger='current', level=logging.INFO if faster else logging.WARNING)
    return 'turbojpeg' if faster else 'cv2'
