"""Values of a label map: the part shown by a pixel, and its orientation to the light."""

from enum import IntEnum


class Part(IntEnum):
    """The part shown by a pixel. 0 is the background."""

    NOTHING = 0
    SKIN = 1
    HAIR = 2
    UPPER = 3
    UPPER_SECOND = 4
    LOWER = 5
    LOWER_SECOND = 6
    SHOE = 7
    SOLE = 8
    BAG = 9
    STRAP = 10
    HAT = 11
    OCCLUDER = 12
    OCCLUDER_SECOND = 13


class Shade(IntEnum):
    """Orientation of a surface to the light."""

    PLAIN = 0
    LIT = 1
    DIM = 2
    DARK = 3


# A label is part + SHADE_STEP * shade.
SHADE_STEP = 16
SHADES = len(Shade)


def label(part: Part, shade: Shade = Shade.PLAIN) -> int:
    """Return the label of a part in a shade."""
    return int(part) + SHADE_STEP * int(shade)
