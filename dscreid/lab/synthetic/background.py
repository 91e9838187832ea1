"""Backgrounds: a picture wider than the frame that slides past a walker, in color and in infrared."""

import cv2
import numpy as np

from dscreid.lab.synthetic.camera import Camera
from dscreid.structures import Modality

WIDEN = 3  # width of a background in frames


def draw_background(camera: Camera, height: int, width: int) -> dict[Modality, np.ndarray]:
    """Draw a camera's background for a canvas of ``height`` times ``width`` pixels, from ``camera.background_seed``.

    Returns:
        The same objects in both spectra, with unrelated brightness: visible uint8[height, WIDEN * width, 3] (blue,
        green, red), infrared uint8[height, WIDEN * width].
    """
    rng = np.random.Generator(np.random.PCG64(camera.background_seed))
    # Draw small and enlarge: backgrounds are out of focus anyway, and this is many times faster.
    rows, columns = 64, 32 * WIDEN
    visible = np.zeros((rows, columns, 3), dtype=np.float32)
    infrared = np.zeros((rows, columns), dtype=np.float32)
    scene = _Scene(visible, infrared, rng, camera)
    horizon = int(rows * (0.52 - 0.6 * camera.elevation))
    scene.fill(0, 0, columns, max(horizon, 1), 1.1)
    scene.fill(0, max(horizon, 0), columns, rows, 0.9)
    _STYLES[camera.background_style](scene, max(horizon, 0), rows, columns)
    grain = rng.standard_normal((rows, columns)).astype(np.float32) * 0.015
    pictures = {}
    for modality, image, own in ((Modality.RGB, visible, grain[..., None]), (Modality.IR, infrared, grain)):
        blurred = cv2.GaussianBlur(image, (0, 0), 0.7) + own
        large = cv2.resize(blurred, (width * WIDEN, height), interpolation=cv2.INTER_LINEAR)
        pictures[modality] = np.clip(255 * large + 0.5, 0, 255).astype(np.uint8)
    return pictures


class _Scene:
    """Draw the same shapes into both spectra, each with its own tone."""

    def __init__(self, visible, infrared, rng: np.random.Generator, camera: Camera) -> None:
        self.visible, self.infrared, self.rng, self.camera = visible, infrared, rng, camera

    def _draw(self, shape, level: float, spread: float, *place, thickness: int) -> None:
        base = self.camera.background_level * level * (1 + spread * self.rng.standard_normal())
        color = base * (1 + self.camera.background_color * self.rng.standard_normal(3))
        color = color * self.camera.light[::-1]
        infrared = self.camera.infrared_background * level * (1 + spread * self.rng.standard_normal())
        shape(self.visible, *place, tuple(float(v) for v in np.clip(color, 0, 1)), thickness)
        shape(self.infrared, *place, float(np.clip(infrared, 0.02, 1)), thickness)

    def fill(self, x0: int, y0: int, x1: int, y1: int, level: float = 1.0, spread: float = 0.12) -> None:
        self._draw(cv2.rectangle, level, spread, (x0, y0), (x1, y1), thickness=-1)

    def line(self, start, end, thickness: int, level: float = 1.0, spread: float = 0.25) -> None:
        self._draw(cv2.line, level, spread, start, end, thickness=thickness)

    def blob(self, center, radius: int, level: float = 1.0, spread: float = 0.3) -> None:
        self._draw(cv2.circle, level, spread, center, radius, thickness=-1)


def _campus(scene: _Scene, horizon: int, rows: int, columns: int) -> None:
    """Draw lawn and trees behind a path."""
    rng = scene.rng
    for _ in range(10):
        center = int(rng.integers(columns)), max(horizon - int(rng.integers(12)), 0)
        scene.blob(center, int(rng.integers(4, 11)), 0.9)
    scene.fill(0, horizon + int(rng.integers(4, 14)), columns, rows, 1.1)


def _street(scene: _Scene, horizon: int, rows: int, columns: int) -> None:
    """Draw house fronts with windows, a curb and road markings."""
    rng = scene.rng
    x = 0
    while x < columns:
        width = int(rng.integers(10, 26))
        scene.fill(x, 0, x + width, horizon, 1.0, 0.25)
        for y in range(2, max(horizon - 4, 3), 9):
            scene.fill(x + 3, y, x + width // 2, y + 5, 0.8, 0.3)
        x += width
    scene.line((0, horizon + 5), (columns, horizon + 5), 2, 1.2)
    for x in range(0, columns, 20):
        scene.line((x, rows - 6), (x + 8, rows - 6), 2, 1.3)


def _indoor(scene: _Scene, horizon: int, rows: int, columns: int) -> None:
    """Draw a corridor with doors, skirting board and floor tiles."""
    rng = scene.rng
    for x in range(int(rng.integers(8)), columns, int(rng.integers(16, 28))):
        scene.fill(x, 0, x + int(rng.integers(4, 10)), horizon, 1.0, 0.25)
    scene.line((0, horizon), (columns, horizon), 2, 0.7)
    step = int(rng.integers(7, 12))
    for y in range(horizon + step, rows, step):
        scene.line((0, y), (columns, y), 1, 0.9)
    for x in range(-columns, 2 * columns, 2 * step):
        scene.line((columns // 2 + (x - columns // 2) // 2, horizon), (x, rows), 1, 0.9)


def _clutter(scene: _Scene, horizon: int, rows: int, columns: int) -> None:
    rng = scene.rng
    for _ in range(14):
        x, y = int(rng.integers(columns)), int(rng.integers(rows))
        scene.fill(x, y, x + int(rng.integers(3, 24)), y + int(rng.integers(3, 24)), 1.0, 0.4)
    for _ in range(6):
        scene.blob((int(rng.integers(columns)), int(rng.integers(rows))), int(rng.integers(2, 10)), 1.0, 0.4)


_STYLES = {'campus': _campus, 'street': _street, 'indoor': _indoor, 'clutter': _clutter}
