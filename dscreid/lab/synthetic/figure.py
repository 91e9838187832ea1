"""Label maps, and one walker drawn into them with OpenCV's thick lines and polygons."""

from enum import IntEnum

import cv2
import numpy as np

from dscreid.lab.synthetic.identity import Identity
from dscreid.lab.synthetic.pose import TORSO, Joint

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


class Figure:
    """A walker in one frame, ready to be drawn into a label map, uint8[H, W].

    ``points``, float[18, 2], are the projected joints in pixels, ``depth``, float[18], is larger closer to the camera,
    and ``texture``, uint8[rows, columns], comes from ``label_texture``. ``azimuth`` is the viewing direction in
    radians, ``scale`` is in pixels per body height. Strokes take points in pixels and widths in body heights.
    """

    def __init__(self, canvas, points, depth, identity: Identity, azimuth: float, texture, scale: float) -> None:
        self.canvas, self.points, self.depth = canvas, points, depth
        self.identity, self.texture, self.scale = identity, texture, scale
        self.sin, self.cos = float(np.sin(azimuth)), float(np.cos(azimuth))

    def draw(self) -> None:
        """Draw all parts from far to near."""
        near = 0 if self.depth[Joint.SHOULDER_L] > self.depth[Joint.SHOULDER_R] else 1
        side_view = abs(self.sin) > 0.35
        if self.cos > 0:
            self._bag_on_back()
            self._long_hair()
        self._arm(1 - near, Shade.DIM if side_view else Shade.PLAIN)
        feet = self.depth[Joint.ANKLE_L], self.depth[Joint.ANKLE_R]
        far_leg = 1 - near if side_view else int(feet[0] > feet[1])
        self._leg(far_leg, Shade.DIM)
        self._leg(1 - far_leg, Shade.PLAIN)
        self._skirt()
        self._torso()
        self._strap()
        self._head()
        if self.cos <= 0:
            self._long_hair()
            self._bag_on_back()
        self._arm(near, Shade.PLAIN)
        self._carried_bag(near)

    def _leg(self, side: int, shade: Shade) -> None:
        person, bulk, at = self.identity, self.identity.body.bulk, self.points
        hip, knee, ankle, toe = (at[j + side] for j in (Joint.HIP_L, Joint.KNEE_L, Joint.ANKLE_L, Joint.TOE_L))
        short = person.lower_kind in ('shorts', 'skirt', 'dress')
        wide = 1.35 if person.lower_kind == 'wide' else 1.0
        upper_width, lower_width = 0.082 * bulk * wide, 0.058 * bulk * wide
        sole = np.array((0, 0.010 * self.scale))
        self.line(ankle + sole, toe + sole, 0.034, label(Part.SOLE, shade))
        self.line(ankle, toe, 0.036, label(Part.SHOE, shade))
        if short:
            self.limb(knee, ankle, 0.044 * bulk, Part.SKIN, shade)
        else:
            self.limb(knee, ankle, lower_width, Part.LOWER, shade)
            if person.lower_detail == 'cuffs':
                middle = knee + 0.62 * (ankle - knee)
                self.limb(middle, ankle, lower_width, Part.LOWER_SECOND, shade)
        if person.lower_kind in ('skirt', 'dress'):
            self.limb(hip, knee, 0.055 * bulk, Part.SKIN, shade)
            return
        self.limb(hip, knee, upper_width, Part.LOWER, shade)
        if person.lower_detail == 'knees' and not short:
            ends = knee + 0.2 * (hip - knee), knee + 0.2 * (ankle - knee)
            self.line(*ends, upper_width, label(Part.LOWER_SECOND, shade))
        self._side_stripe(side, hip, knee, None if short else ankle, upper_width, shade)

    def _side_stripe(self, side: int, hip, knee, ankle, width: float, shade: Shade) -> None:
        """Draw the stripe along the outer seam, if the outer side of this leg is visible."""
        outward = self.cos if side == 0 else -self.cos
        if self.identity.lower_detail != 'side_stripe' or self._nearness(side) < -0.3:
            return
        shift = (0.42 * outward * width * self.scale, 0.0)
        value = label(Part.LOWER_SECOND, shade)
        self.line(hip + shift, knee + shift, 0.022, value)
        if ankle is not None:
            self.line(knee + shift, ankle + shift, 0.022, value)

    def _arm(self, side: int, shade: Shade) -> None:
        person, at = self.identity, self.points
        shoulder, elbow, hand = (at[j + side] for j in (Joint.SHOULDER_L, Joint.ELBOW_L, Joint.HAND_L))
        width = 0.055 * (0.6 + 0.4 * person.body.bulk)
        cloth = Part.UPPER_SECOND if person.sleeves_second else Part.UPPER
        self.limb(elbow, hand, 0.78 * width, cloth if person.sleeve >= 1 else Part.SKIN, shade)
        fingers = hand + 0.25 * (hand - elbow)
        self.line(hand, fingers, 0.034, label(Part.SKIN, shade))
        self.limb(shoulder, elbow, width, cloth if person.sleeve > 0 else Part.SKIN, shade)
        if person.sleeve == 0:
            self.line(shoulder, shoulder + 0.15 * (elbow - shoulder), width, label(cloth, shade))

    def _skirt(self) -> None:
        person = self.identity
        if person.lower_kind not in ('skirt', 'dress'):
            return
        bulk = person.body.bulk
        pelvis = self.points[Joint.PELVIS]
        knees = 0.5 * (self.points[Joint.KNEE_L] + self.points[Joint.KNEE_R])
        length = 1.0 if person.lower_kind == 'dress' else 0.8
        bottom = pelvis + length * (knees - pelvis) * (0.4, 1.0)
        top_width = self.half_width(0.085 * bulk, 0.065 * bulk)
        spread = 0.5 * abs(self.points[Joint.KNEE_L][0] - self.points[Joint.KNEE_R][0])
        width = self.half_width(0.115 * bulk, 0.10 * bulk) + 0.4 * spread
        self.trapeze(moved(pelvis, 0, -0.05 * self.scale), bottom, top_width, width, Part.LOWER)
        if person.lower_detail in ('cuffs', 'knees'):
            edge = bottom + 0.25 * (pelvis - bottom)
            self.trapeze(edge, bottom, 0.94 * width, width, Part.LOWER_SECOND)

    def _torso(self) -> None:
        person, at = self.identity, self.points
        bulk = person.body.bulk
        neck, pelvis = at[Joint.NECK], at[Joint.PELVIS]
        axis = (pelvis - neck) / TORSO
        hem = pelvis + axis * person.hem * 0.85
        top = neck + axis * 0.012
        chest = self.half_width(person.body.shoulder + 0.012, 0.060 * bulk)
        waist = self.half_width(0.078 * bulk, 0.062 * bulk)
        bottom = self.half_width((0.085 + 0.10 * person.hem) * bulk, (0.066 + 0.12 * person.hem) * bulk)
        self.line(neck, at[Joint.HEAD], 0.045, label(Part.SKIN, Shade.DIM))
        profile = (
            (neck - axis * 0.008, 0.35 * chest),
            (neck + axis * 0.035, 0.94 * chest),
            (neck + axis * 0.10, chest),
            (neck + axis * 0.26, waist),
            (hem, bottom),
        )
        right = [moved(center, width) for center, width in profile]
        left = [moved(center, -width) for center, width in reversed(profile)]
        self.textured(self.texture, np.array(right + left), top, hem, 1.02 * max(chest, bottom))
        if person.lower_kind == 'dress':
            self.trapeze(pelvis, hem, waist, bottom, Part.UPPER)

    def _head(self) -> None:
        person = self.identity
        size = person.body.head
        head, face = self.points[Joint.HEAD], self.points[Joint.FACE]
        rx, ry = 0.052 * size, 0.068 * size
        hooded = person.hat_kind == 'hood'
        self.ellipse(head, (1.1 * rx, 1.06 * ry), label(Part.UPPER if hooded else Part.HAIR))
        if self.cos > -0.35:
            turned = moved(0.62 * (face - head), 0, 0.012 * self.scale)
            width = rx * (0.86 if self.cos > 0.5 else 0.74)
            self.ellipse(head + turned, (width, 0.80 * ry), label(Part.SKIN))
            self._face_marks(head + turned, width, ry)
        elif person.hair_length == 0 and not hooded:
            nape = moved(head, 0, 0.03 * self.scale)
            self.ellipse(nape, (0.8 * rx, 0.6 * ry), label(Part.SKIN, Shade.DIM))
        if person.hat_kind in ('cap', 'beanie'):
            crown = moved(head, 0, -0.018 * self.scale)
            self.ellipse(crown, (1.16 * rx, 0.98 * ry), label(Part.HAT), 180)
        if person.hat_kind == 'cap' and self.cos > -0.6:
            edge = moved(head, 0, -0.016 * self.scale)
            brim = moved(edge, 1.5 * (face - head)[0])
            self.line(edge, brim, 0.020, label(Part.HAT, Shade.DIM))

    def _face_marks(self, center, width: float, height: float) -> None:
        """Draw dark eyes, so that front and back differ in both modalities."""
        middle = moved(center, 0.4 * self.sin * width * self.scale, -0.12 * height * self.scale)
        for sign in (-1, 1):
            if sign * self.sin < 0.8:
                at = moved(middle, sign * 0.42 * width * self.scale * max(abs(self.cos), 0.4))
                self.line(at, at, 0.014, label(Part.HAIR))

    def _long_hair(self) -> None:
        person = self.identity
        if person.hair_length <= 0.3 or person.hat_kind == 'hood':
            return
        head, neck, face = (self.points[j] for j in (Joint.HEAD, Joint.NECK, Joint.FACE))
        start = head - 0.35 * (face - head)
        end = moved(neck - 0.7 * (face - head), 0, (0.11 * person.hair_length - 0.05) * self.scale)
        width = 0.085 * person.body.head * (0.75 + 0.25 * abs(self.cos))
        self.line(start, end, width, label(Part.HAIR, Shade.DIM))

    def _bag_on_back(self) -> None:
        if self.identity.bag_kind != 'backpack':
            return
        neck, pelvis = self.points[Joint.NECK], self.points[Joint.PELVIS]
        middle = neck + 0.48 * (pelvis - neck)
        behind = np.array((-0.085 * self.sin * self.scale, 0.0))
        half = np.array((self.half_width(0.080, 0.052), 0.0))
        drop = 0.36 * (pelvis - neck)
        self.box(middle + behind, half, drop, 0.74)
        if self.cos < 0.3:
            pocket = middle + behind + 0.45 * drop
            self.line(pocket - 0.4 * half, pocket + 0.4 * half, 0.05, label(Part.STRAP))

    def _strap(self) -> None:
        person, at = self.identity, self.points
        if person.bag_kind == 'backpack' and self.cos > -0.2:
            for side in (0, 1):
                shoulder = at[Joint.NECK] + 0.62 * (at[Joint.SHOULDER_L + side] - at[Joint.NECK])
                end = shoulder + 0.55 * (at[Joint.PELVIS] - at[Joint.NECK])
                self.line(shoulder, end, 0.020, label(Part.STRAP))
        if person.bag_kind == 'shoulder':
            hip = at[Joint.HIP_L + person.bag_side]
            shoulder = at[Joint.NECK] + 0.6 * (at[Joint.SHOULDER_R - person.bag_side] - at[Joint.NECK])
            self.line(shoulder, hip, 0.018, label(Part.STRAP))
            if self._nearness(person.bag_side) > -0.4:
                outward = hip - at[Joint.PELVIS]
                self.box(hip + 0.7 * outward, *np.diag((0.055, 0.05)) * self.scale)

    def _carried_bag(self, near: int) -> None:
        person = self.identity
        if person.bag_kind != 'hand' or (person.bag_side != near and abs(self.sin) > 0.75):
            return
        hand = self.points[Joint.HAND_L + person.bag_side]
        self.line(hand, moved(hand, 0, 0.05 * self.scale), 0.016, label(Part.STRAP))
        self.box(moved(hand, 0, 0.10 * self.scale), *np.diag((0.055, 0.055)) * self.scale)

    def _nearness(self, side: int) -> float:
        """How far the walker's left (0) or right (1) side is turned to the camera, in [-1, 1]."""
        return -self.sin if side == 0 else self.sin

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

    def box(self, center, right, down, core: float = 0.72) -> None:
        """Draw a bag with a shaded rim, from its center to its edges by ``right`` and ``down`` in pixels."""
        for share, shade in ((1.0, Shade.DIM), (core, Shade.PLAIN)):
            corners = [center + share * (x * right + y * down) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            self.polygon(corners, label(Part.BAG, shade))

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
