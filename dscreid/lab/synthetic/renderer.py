"""Render walks: draw label maps once, then paint them for each sensor."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from dscreid.lab.synthetic import camera as optics
from dscreid.lab.synthetic.background import WIDEN, Background, draw_background
from dscreid.lab.synthetic.brush import label_texture
from dscreid.lab.synthetic.camera import Camera, degrade
from dscreid.lab.synthetic.figure import Figure
from dscreid.lab.synthetic.identity import Identity
from dscreid.lab.synthetic.paint import infrared_table, visible_table
from dscreid.lab.synthetic.pose import project, skeletons
from dscreid.lab.synthetic.texture import pattern_mask, visible_side
from dscreid.lab.synthetic.walk import Walk
from dscreid.structures import Modality

OVERSAMPLE = 2  # size of the label maps relative to the frame
_GROUND = 0.955  # vertical position of the lower foot in the frame
_MARGIN = 24  # extra pixels of a noise field, so that each frame uses a different crop


@dataclass(frozen=True)
class View:
    """A camera and everything computed once for it, for frames of ``height`` times ``width`` pixels."""

    camera: Camera
    height: int
    width: int

    @cached_property
    def background(self) -> Background:
        """Background at the resolution of the canvas."""
        return draw_background(self.camera, OVERSAMPLE * self.height, OVERSAMPLE * self.width)

    @cached_property
    def visible_light(self) -> np.ndarray:
        """Gradient of the visible light, float32[H, W, 3]."""
        light = optics.visible_illumination(self.camera, self.height, self.width)
        return np.ascontiguousarray(np.broadcast_to(light, (self.height, self.width, 3)))

    @cached_property
    def infrared_light(self) -> np.ndarray:
        """Hot spot and vignette of the infrared light, float32[H, W]."""
        return optics.infrared_illumination(self.camera, self.height, self.width)

    @cached_property
    def tone_curves(self) -> dict[Modality, np.ndarray]:
        """Tone curves of the sensors, uint8[256] each."""
        return {
            Modality.RGB: optics.visible_tone_curve(self.camera),
            Modality.IR: self.camera.sensor.tone_curve(),
        }


def label_maps(identity: Identity, view: View, walk: Walk) -> Iterator[np.ndarray]:
    """Yield the label map of each frame of a walk: uint8[OVERSAMPLE * H, OVERSAMPLE * W] of ``labels.label``."""
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
        yield {modality: painter(labels, number) for modality, painter in painters.items()}


class _Painter:
    """Paint label maps as seen by one sensor: background, light, optics, tone curve, noise."""

    def __init__(
        self, identity: Identity, view: View, walk: Walk, modality: Modality, rng: np.random.Generator
    ) -> None:
        self.view, self.walk = view, walk
        camera, sensor = view.camera, view.camera.sensor
        self.visible = modality is Modality.RGB
        if self.visible:
            self.table = visible_table(identity, walk.occluder, camera)
            self.scenery, self.light = view.background.visible, view.visible_light
            self.blur, noise = camera.blur * view.height / 128, camera.noise
        else:
            self.table = infrared_table(identity, walk.occluder, camera)
            self.scenery, self.light = view.background.infrared, view.infrared_light
            self.blur, noise = camera.blur * sensor.blur * view.height / 128, sensor.noise
        self.tone_curve = view.tone_curves[modality]
        shape = (view.height + _MARGIN, view.width + _MARGIN, *self.scenery.shape[2:])
        field = noise * rng.standard_normal(shape, dtype=np.float32)
        self.noise = np.round(field).astype(np.int16)
        self.crops = rng.integers(_MARGIN + 1, size=(len(walk), 2))

    def __call__(self, labels: np.ndarray, number: int) -> np.ndarray:
        height, width = self.view.height, self.view.width
        left = int(self.walk.scenery[number] / WIDEN * self.scenery.shape[1])
        left = min(left, self.scenery.shape[1] - labels.shape[1])
        canvas = self.scenery[:, left : left + labels.shape[1]].copy()
        layers = cv2.merge((labels, labels, labels)) if self.visible else labels
        cv2.copyTo(cv2.LUT(layers, self.table), labels, canvas)
        image = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        image = cv2.multiply(image, self.light, scale=float(self.walk.gain[number]), dtype=cv2.CV_8U)
        image = degrade(image, self.blur, self.view.camera.resolution)
        image = cv2.LUT(image, self.tone_curve)
        y, x = self.crops[number]
        return cv2.add(image, self.noise[y : y + height, x : x + width], dtype=cv2.CV_8U)


def fake_infrared(image: np.ndarray) -> np.ndarray:
    """Imitate an infrared frame, uint8[H, W], from a visible one (BUPTCampus' FakeIR): lightness with less contrast."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.convertScaleAbs(gray, alpha=0.8, beta=35)
