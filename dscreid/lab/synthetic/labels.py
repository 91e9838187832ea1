"""Values of a label map: the part shown by a pixel, and its orientation to the light."""

from enum import IntEnum


class Part(IntEnum):
    """The part shown by a pixel. 0 is the background."""

    NOTHING, SKIN, HAIR, UPPER, UPPER_SECOND, LOWER, LOWER_SECOND = range(7)
    SHOE, SOLE, BAG, STRAP, HAT, OCCLUDER, OCCLUDER_SECOND = range(7, 14)


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
