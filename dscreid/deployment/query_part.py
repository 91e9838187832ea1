"""Which part of a query shows the person: a box, and some frames."""

import re
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dscreid.errors import DatasetError

#: Minimum length of each side of a person's box, in pixels.
LEAST_SIDE = 8
#: All frames.
TO_THE_END = range(sys.maxsize)


@dataclass(frozen=True)
class PixelBox:
    """The person's place in a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def check(self, size: tuple[int, int]) -> None:
        """Raise DatasetError if the box is too small, or leaves a picture of this (width, height)."""
        picture = f'the picture of {size[0]}x{size[1]} pixels'
        box = f'{self.left},{self.top},{self.width},{self.height}'
        if self.width < LEAST_SIDE or self.height < LEAST_SIDE:
            raise DatasetError(f'the box {box} in {picture} is smaller than {LEAST_SIDE} pixels; choose a larger box')
        if min(self.left, self.top) < 0 or self.left + self.width > size[0] or self.top + self.height > size[1]:
            raise DatasetError(f'the box {box} leaves {picture}; choose LEFT,TOP,WIDTH,HEIGHT inside')

    def cut(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Cut the box out of uint8 (H, W, 3). Raises DatasetError, see ``check``."""
        self.check((image.shape[1], image.shape[0]))
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def parse_pixel_box(text: str) -> PixelBox:
    """Parse ``LEFT,TOP,WIDTH,HEIGHT`` in pixels; fractions are rounded. Raises ValueError."""
    numbers = re.fullmatch(','.join([r'\s*(\d{1,6}(?:\.\d*)?)\s*'] * 4), text)
    if numbers is None:
        raise ValueError(f'{text!r} is not a box such as 412,80,96,240; write LEFT,TOP,WIDTH,HEIGHT in pixels')
    left, top, width, height = map(float, numbers.groups())
    edges = [round(edge) for edge in (left, top, left + width, top + height)]
    return PixelBox(edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1])


def parse_frames(text: str) -> range:
    """Parse ``FROM-TO``, numbers of frames from 0, both included, or ``FROM-`` up to the end. Raises ValueError."""
    numbers = re.fullmatch(r'(\d{1,9})-(\d{1,9})?', text)
    found = range(int(numbers[1]), int(numbers[2]) + 1 if numbers[2] else TO_THE_END.stop) if numbers else range(0)
    if not found:
        raise ValueError(f'{text!r} is not a range of frames such as 120-180; write FROM-TO, counted from 0, or FROM-')
    return found


def has_end(frames: range) -> bool:
    """Whether the last frame was given."""
    return frames.stop != TO_THE_END.stop
