"""Label maps, and strokes to draw into them: limbs, boxes and textured outlines, measured in body heights."""

from enum import IntEnum

import cv2
import numpy as np

_SHIFT = 4  # fractional bits of OpenCV coordinates, for subpixel motion of the limbs
_ONE = 1 << _SHIFT
SHADE_STEP = 16  # a label is part + SHADE_STEP * shade


class Part(IntEnum):
    """The part shown by a pixel. 0 is the background."""

    NOTHING, SKIN, HAIR, UPPER, UPPER_SECOND, LOWER, LOWER_SECOND = range(7)
    SHOE, SOLE, BAG, STRAP, HAT, OCCLUDER, OCCLUDER_SECOND = range(7, 14)


class Shade(IntEnum):
    """Orientation of a surface to the light."""

    PLAIN, LIT, DIM, DARK = range(4)


def label(part: Part, shade: Shade = Shade.PLAIN) -> int:
    """Return the label of a part in a shade."""
    return int(part) + SHADE_STEP * int(shade)


class Brush:
    """Draw into a label map, uint8[H, W]. Points are in pixels, widths in body heights.

    ``scale`` is in pixels per body height; ``azimuth`` is the viewing direction in radians.
    """

    def __init__(self, canvas: np.ndarray, scale: float, azimuth: float) -> None:
        self.canvas, self.scale = canvas, scale
        self.sin, self.cos = float(np.sin(azimuth)), float(np.cos(azimuth))

    def line(self, start, end, width: float, value: int) -> None:
        """Draw a line with round ends."""
        thickness = max(1, round(width * self.scale))
        start, end = ((int(x * _ONE), int(y * _ONE)) for x, y in (start, end))
        cv2.line(self.canvas, start, end, value, thickness, cv2.LINE_8, _SHIFT)

    def limb(self, start, end, width: float, part: Part, shade: Shade) -> None:
        """Draw a limb as a darker rim and a core, so that it looks round and stands out."""
        rim = Shade.DARK if shade is Shade.DIM else Shade.DIM
        self.line(start, end, width, label(part, rim))
        light = -0.12 * width * self.scale
        self.line(moved(start, light), moved(end, light), 0.62 * width, label(part, shade))

    def polygon(self, corners, value: int) -> None:
        """Fill a convex polygon."""
        cv2.fillConvexPoly(self.canvas, _fixed(corners), value, cv2.LINE_8, _SHIFT)

    def ellipse(self, center, axes, value: int, start: float = 0.0) -> None:
        """Fill an ellipse, or its sector from ``start`` to 360 degrees. ``axes`` are the half axes."""
        center = (int(center[0] * _ONE), int(center[1] * _ONE))
        axes = (int(axes[0] * self.scale * _ONE), int(axes[1] * self.scale * _ONE))
        cv2.ellipse(self.canvas, center, axes, 0.0, start, 360.0, value, -1, cv2.LINE_8, _SHIFT)

    def half_width(self, lateral: float, frontal: float) -> float:
        """Return the visible half width of an upright elliptic cylinder, in pixels."""
        return self.scale * float(np.hypot(lateral * self.cos, frontal * self.sin))

    def trapeze(self, top, bottom, top_width: float, bottom_width: float, part: Part) -> None:
        """Draw a skirt-like shape with a shaded rim. Half widths are in pixels."""
        for share, shift, shade in ((1.0, 0.0, Shade.DIM), (0.72, -0.10, Shade.PLAIN)):
            left, right = shift - share, shift + share
            upper = [moved(top, left * top_width), moved(top, right * top_width)]
            lower = [moved(bottom, right * bottom_width), moved(bottom, left * bottom_width)]
            self.polygon(upper + lower, label(part, shade))

    def box(self, center, half_width: float, half_height: float, part: Part) -> None:
        """Draw a rectangle with a shaded rim."""
        for share, shade in ((1.0, Shade.DIM), (0.72, Shade.PLAIN)):
            reach = share * np.array((half_width, half_height)) * self.scale
            corners = [center + reach * sign for sign in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            self.polygon(corners, label(part, shade))

    def textured(self, texture: np.ndarray, outline: np.ndarray, top, hem, half_width: float) -> None:
        """Fill an outline, float[N, 2] in pixels, with a garment's pattern, uint8[rows, columns] of ``label_texture``.

        ``top`` and ``hem`` are the centers of the texture's first and last row, ``half_width`` is in pixels.
        """
        origin = np.maximum(np.floor(outline.min(axis=0)).astype(int), 0)
        stop = np.maximum(np.ceil(outline.max(axis=0)).astype(int) + 1, 0)
        region = self.canvas[origin[1] : stop[1], origin[0] : stop[0]]
        if region.size == 0:
            return
        rows, columns = texture.shape
        source = np.array(((0, 0), (columns, 0), (0, rows)), dtype=np.float32)
        target = np.array((moved(top, -half_width), moved(top, half_width), moved(hem, -half_width)))
        matrix = cv2.getAffineTransform(source, (target - origin).astype(np.float32))
        warped = cv2.warpAffine(texture, matrix, region.shape[::-1], None, cv2.INTER_NEAREST, cv2.BORDER_REPLICATE)
        mask = np.zeros(region.shape, dtype=np.uint8)
        cv2.fillPoly(mask, [_fixed(outline - origin)], 255, cv2.LINE_8, _SHIFT)
        cv2.copyTo(warped, mask, region)


def moved(point: np.ndarray, right: float, down: float = 0.0) -> np.ndarray:
    """Return ``point`` (float[2]) shifted by a number of pixels."""
    return np.array((point[0] + right, point[1] + down))


def _fixed(corners) -> np.ndarray:
    return np.round(np.asarray(corners) * _ONE).astype(np.int32)
