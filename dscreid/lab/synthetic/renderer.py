"""Render walks: draw label maps once, then paint them for each sensor."""

from collections.abc import Iterator

import cv2
import numpy as np

from dscreid.lab.synthetic.background import WIDEN, draw_background
from dscreid.lab.synthetic.camera import Camera, degrade, illumination, tone_curves
from dscreid.lab.synthetic.draws import MATERIAL_SHEEN, Surface
from dscreid.lab.synthetic.figure import SHADE_STEP, Figure, Part, Shade
from dscreid.lab.synthetic.identity import Identity
from dscreid.lab.synthetic.pose import project, skeletons
from dscreid.lab.synthetic.texture import label_texture, pattern_mask, visible_side
from dscreid.lab.synthetic.walk import Occluder, Walk
from dscreid.structures import Modality

OVERSAMPLE = 2  # size of the label maps relative to the frame
_GROUND = 0.955  # vertical position of the lower foot in the frame
_MARGIN = 24  # extra pixels of a noise field, so that each frame uses a different crop
# Visible light comes from the side, the illuminator's infrared light almost from the front.
_SHADES = {
    Modality.RGB: {Shade.PLAIN: 1.0, Shade.DIM: 0.80, Shade.DARK: 0.62},
    Modality.IR: {Shade.PLAIN: 1.0, Shade.DIM: 0.86, Shade.DARK: 0.72},
}
_SHEEN_SHARE = {Modality.RGB: 1.0, Modality.IR: 0.5}


class View:
    """A camera and everything computed once for it, for frames of ``height`` times ``width`` pixels."""

    def __init__(self, camera: Camera, height: int, width: int) -> None:
        self.camera, self.height, self.width = camera, height, width
        self.background = draw_background(camera, OVERSAMPLE * height, OVERSAMPLE * width)
        self.light = illumination(camera, height, width)
        self.tone_curves = tone_curves(camera)


def label_maps(identity: Identity, view: View, walk: Walk) -> Iterator[np.ndarray]:
    """Yield the label map of each frame of a walk: uint8[OVERSAMPLE * H, OVERSAMPLE * W] of ``figure.label``."""
    camera = view.camera
    height, width = OVERSAMPLE * view.height, OVERSAMPLE * view.width
    azimuth = camera.azimuth + walk.turn
    texture = label_texture(visible_side(pattern_mask(identity.upper_pattern), azimuth))
    joints = project(skeletons(identity.body, identity.gait, walk.phases), azimuth, camera.elevation)
    # Detections are cropped around the visible figure, so a steep view does not make it small.
    upright = np.cos(camera.elevation) + 0.15 * np.sin(camera.elevation)
    for number in range(len(walk)):
        scale = camera.scale * height * walk.zoom[number] / upright
        origin = (0.5 * width, _GROUND * height) + walk.shift[number] * height
        points = joints[number, :, :2] * scale + origin
        canvas = np.zeros((height, width), dtype=np.uint8)
        Figure(canvas, points, joints[number, :, 2], identity, azimuth, texture, scale).draw()
        if walk.occluder is not None:
            walk.occluder.draw(canvas, number)
        yield canvas


def render_walk(
    identity: Identity, view: View, walk: Walk, modalities: tuple[Modality, ...], rng: np.random.Generator
) -> Iterator[dict[Modality, np.ndarray]]:
    """Render a walk, pixel-aligned in all ``modalities``, with sensor noise drawn from ``rng``.

    Yields the image of each modality for one frame: visible uint8[H, W, 3] (blue, green, red), infrared uint8[H, W].
    """
    painters = {modality: _Painter(identity, view, walk, modality, rng) for modality in modalities}
    for number, labels in enumerate(label_maps(identity, view, walk)):
        yield {modality: painter.paint(labels, number) for modality, painter in painters.items()}


class _Painter:
    """Paint label maps as seen by one sensor: background, light, optics, tone curve, noise."""

    def __init__(
        self, identity: Identity, view: View, walk: Walk, modality: Modality, rng: np.random.Generator
    ) -> None:
        self.view, self.walk, self.modality = view, walk, modality
        self.table = label_colors(identity, walk.occluder, view.camera, modality)
        self.scenery, self.light = view.background[modality], view.light[modality]
        blur, strength = 1.0, view.camera.noise
        if modality is Modality.IR:
            blur, strength = view.camera.sensor.blur, view.camera.sensor.noise
        self.blur = view.camera.blur * blur * view.height / 128
        shape = (view.height + _MARGIN, view.width + _MARGIN, *self.scenery.shape[2:])
        self.noise = np.round(strength * rng.standard_normal(shape, dtype=np.float32)).astype(np.int16)
        self.crops = rng.integers(_MARGIN + 1, size=(len(walk), 2))

    def paint(self, labels: np.ndarray, number: int) -> np.ndarray:
        height, width = self.view.height, self.view.width
        left = int(self.walk.scenery[number] / WIDEN * self.scenery.shape[1])
        left = min(left, self.scenery.shape[1] - labels.shape[1])
        canvas = self.scenery[:, left : left + labels.shape[1]].copy()
        layers = cv2.merge((labels,) * 3) if self.modality is Modality.RGB else labels
        cv2.copyTo(cv2.LUT(layers, self.table), labels, canvas)
        image = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        image = cv2.multiply(image, self.light, scale=float(self.walk.gain[number]), dtype=cv2.CV_8U)
        if smear := round(float(self.walk.smear[number]) * width):
            image = cv2.blur(image, (smear + 1, 1))
        image = degrade(image, self.blur, self.view.camera.resolution)
        image = cv2.LUT(image, self.view.tone_curves[self.modality])
        y, x = self.crops[number]
        return cv2.add(image, self.noise[y : y + height, x : x + width], dtype=cv2.CV_8U)


def label_colors(identity: Identity, occluder: Occluder | None, camera: Camera, modality: Modality) -> np.ndarray:
    """Return what a sensor sees of all labels before the tone curve.

    Visible uint8[256, 1, 3] in OpenCV's order (blue, green, red), infrared uint8[256, 1, 1].
    """
    table = np.zeros((256, 1, 3 if modality is Modality.RGB else 1))
    for part, (surface, main) in _surfaces(identity, occluder).items():
        if modality is Modality.RGB:
            rgb = np.asarray(surface.rgb)
            gray = rgb.mean()
            value = (np.asarray(camera.light) * (gray + camera.saturation * (rgb - gray)))[::-1]
        else:
            value = np.array((camera.sensor.reflectance_on(main, surface),))
        for shade, factor in _SHADES[modality].items():
            table[part + SHADE_STEP * shade, 0] = value * factor
        lit = 1 + _SHEEN_SHARE[modality] * MATERIAL_SHEEN[surface.material]
        # Even a dark surface keeps some sheen.
        table[part + SHADE_STEP * Shade.LIT, 0] = value * lit + 0.10 * (lit - 1)
    return np.clip(255 * table + 0.5, 0, 255).astype(np.uint8)


def _surfaces(identity: Identity, occluder: Occluder | None) -> dict[Part, tuple[Surface, Surface]]:
    """Return each part's surface and the main surface of its garment (the same surface unless it is a second one)."""
    parts = {
        Part.SKIN: identity.skin, Part.HAIR: identity.hair, Part.UPPER: identity.upper, Part.LOWER: identity.lower,
        Part.SHOE: identity.shoes, Part.BAG: identity.bag, Part.HAT: identity.hat,
    }  # fmt: skip
    table = {part: (surface, surface) for part, surface in parts.items()}
    table[Part.UPPER_SECOND] = (identity.upper_second, identity.upper)
    table[Part.LOWER_SECOND] = (identity.lower_second, identity.lower)
    table[Part.SOLE] = (identity.upper_second, identity.shoes)
    table[Part.STRAP] = (identity.lower_second, identity.bag)
    if occluder is not None:
        table[Part.OCCLUDER] = (occluder.surface, occluder.surface)
        table[Part.OCCLUDER_SECOND] = (occluder.second, occluder.surface)
    return table


def fake_infrared(image: np.ndarray) -> np.ndarray:
    """Imitate an infrared frame, uint8[H, W], from a visible one (BUPTCampus' FakeIR): lightness with less contrast."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.convertScaleAbs(gray, alpha=0.8, beta=35)
