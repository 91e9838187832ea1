"""Frames that have their number as brightness, so that crops tell where they are from."""

import numpy as np

SIZE = (160, 120)


def picture(number):
    """Frame ``number``, uint8 (120, 160, 3); the left half is darker."""
    image = np.full((SIZE[1], SIZE[0], 3), 60 + 3 * number, dtype=np.uint8)
    image[:, :80] //= 2
    return image


def number_of(crop):
    """Frame number of a crop from the right half."""
    return round((float(crop.mean()) - 60) / 3)
