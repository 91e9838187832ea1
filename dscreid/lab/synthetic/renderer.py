"""Turns a walk into pictures: label maps once, then painted through either sensor."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ...structures import Modality
from .background import WIDEN, Background, draw_background
from .brush import label_texture
from .camera import Camera, degrade, infrared_illumination, visible_illumination, visible_tone_curve
from .figure import Figure
from .identity import Identity
from .paint import infrared_table, visible_table
from .pose import project, skeletons
from .texture import pattern_mask, visible_side
from .walk import Walk

OVERSAMPLE = 2  # label maps are drawn at this multiple of the frame's size
_GROUND = 0.955  # height of the lower foot in the frame
_MARGIN = 24  # spare pixels of a noise field, so that every frame can use another crop of it


@dataclass(frozen=True)
class View:
    """A camera with all that is computed once for it, for frames of ``height`` times ``width`` pixels."""

    camera: Camera
    height: int
    width: int

    @cached_property
    def background(self) -> Background:
        """The scenery at the canvas' resolution."""
        return draw_background(self.camera, OVERSAMPLE * self.height, OVERSAMPLE * self.width)

    @cached_property
    def visible_light(self) -> np.ndarray:
        """float32[H, W, 3]."""
        light = visible_illumination(self.camera, self.height, self.width)
        return np.ascontiguousarray(np.broadcast_to(light, (self.height, self.width, 3)))

    @cached_property
    def infrared_light(self) -> np.ndarray:
        """float32[H, W]."""
        return infrared_illumination(self.camera, self.height, self.width)

    @cached_property
    def tone_curves(self) -> dict[Modality, np.ndarray]:
        """The sensors' tone curves, uint8[256] each."""
        return {Modality.RGB: visible_tone_curve(self.camera), Modality.IR: self.camera.sensor.tone_curve()}


def label_maps(identity: Identity, view: View, walk: Walk) -> Iterator[np.ndarray]:
    """Draw what each pixel of each frame shows.

    Args:
        identity: Who walks.
        view: Through which camera.
        walk: How.

    Yields:
        numpy.ndarray: uint8[OVERSAMPLE * H, OVERSAMPLE * W]; values of ``labels.label``.
    """
    camera = view.camera
    height, width = OVERSAMPLE * view.height, OVERSAMPLE * view.width
    azimuth = camera.azimuth + walk.turn
    texture = label_texture(visible_side(pattern_mask(identity.upper_pattern), azimuth))
    joints = project(skeletons(identity.body, identity.gait, walk.phases), azimuth, camera.elevation)
    # A crop is made around the seen figure, so a steep view does not make it small.
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
    """Render a walk, pixel-aligned in all ``modalities``.

    Args:
        identity: Who walks.
        view: Through which camera.
        walk: How.
        modalities: What to paint.
        rng: Generator of the sensors' noise.

    Yields:
        dict: Per frame and modality uint8[H, W, 3] (blue, green, red) or, in the infrared, uint8[H, W].
    """
    painters = {modality: _PAINTERS[modality](identity, view, walk, rng) for modality in modalities}
    for number, labels in enumerate(label_maps(identity, view, walk)):
        yield {modality: painter(labels, number) for modality, painter in painters.items()}


class _Painter:
    """Paints label maps as one sensor sees them: scene, light, optics, tone curve, noise."""

    modality: Modality

    def __init__(self, identity: Identity, view: View, walk: Walk, rng: np.random.Generator) -> None:
        self.view, self.walk = view, walk
        self.table = self._table(identity)
        self.scenery = self._scenery()
        self.light = self._light()
        self.blur, noise = self._optics()
        shape = (view.height + _MARGIN, view.width + _MARGIN, *self.scenery.shape[2:])
        field = noise * rng.standard_normal(shape, dtype=np.float32)
        self.noise = np.round(field).astype(np.int16)
        self.crops = rng.integers(_MARGIN + 1, size=(len(walk), 2))

    def __call__(self, labels: np.ndarray, number: int) -> np.ndarray:
        """Paint frame ``number`` from its label map."""
        height, width = self.view.height, self.view.width
        left = int(self.walk.scenery[number] / WIDEN * self.scenery.shape[1])
        left = min(left, self.scenery.shape[1] - labels.shape[1])
        canvas = self.scenery[:, left : left + labels.shape[1]].copy()
        cv2.copyTo(self._paint(labels), labels, canvas)
        image = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        image = cv2.multiply(image, self.light, scale=float(self.walk.gain[number]), dtype=cv2.CV_8U)
        image = degrade(image, self.blur, self.view.camera.resolution)
        image = cv2.LUT(image, self.view.tone_curves[self.modality])
        y, x = self.crops[number]
        return cv2.add(image, self.noise[y : y + height, x : x + width], dtype=cv2.CV_8U)


class _VisiblePainter(_Painter):
    modality = Modality.RGB

    def _table(self, identity: Identity) -> np.ndarray:
        return visible_table(identity, self.walk.occluder, self.view.camera)

    def _scenery(self) -> np.ndarray:
        return self.view.background.visible

    def _light(self) -> np.ndarray:
        return self.view.visible_light

    def _optics(self) -> tuple[float, float]:
        return self.view.camera.blur * self.view.height / 128, self.view.camera.noise

    def _paint(self, labels: np.ndarray) -> np.ndarray:
        return cv2.LUT(cv2.merge((labels, labels, labels)), self.table)


class _InfraredPainter(_Painter):
    modality = Modality.IR

    def _table(self, identity: Identity) -> np.ndarray:
        return infrared_table(identity, self.walk.occluder, self.view.camera)

    def _scenery(self) -> np.ndarray:
        return self.view.background.infrared

    def _light(self) -> np.ndarray:
        return self.view.infrared_light

    def _optics(self) -> tuple[float, float]:
        camera = self.view.camera
        return camera.blur * camera.sensor.blur * self.view.height / 128, camera.sensor.noise

    def _paint(self, labels: np.ndarray) -> np.ndarray:
        return cv2.LUT(labels, self.table)


_PAINTERS = {Modality.RGB: _VisiblePainter, Modality.IR: _InfraredPainter}


def fake_infrared(image: np.ndarray) -> np.ndarray:
    """Return the infrared imitation of a visible frame (BUPTCampus' FakeIR): lightness, softened in contrast.

    Args:
        image: uint8[H, W, 3], blue, green, red.

    Returns:
        numpy.ndarray: uint8[H, W].
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.convertScaleAbs(grey, alpha=0.8, beta=35)
