"""One walk past one camera, and the object that passes in front: what differs between tracklets of a person."""

from dataclasses import dataclass

import cv2
import numpy as np

from dscreid.lab.synthetic.domain import Domain
from dscreid.lab.synthetic.draws import COLORS, Surface, choose, draw_surface, uniform
from dscreid.lab.synthetic.figure import Part, Shade, label
from dscreid.lab.synthetic.identity import Identity

_MATERIALS = {'cotton': 2, 'polyester': 2, 'nylon': 1, 'leather': 1}


@dataclass(frozen=True)
class Occluder:
    """One occluder of one tracklet."""

    kind: str  #: 'pole', 'box', 'bush' or 'passer'
    first: int  #: first frame in which it is visible
    last: int  #: last frame in which it is visible
    start: float  #: horizontal center in its first frame, in frame widths
    end: float  #: horizontal center in its last frame
    size: float  #: width in frame widths
    top: float  #: upper edge in frame heights (boxes and bushes)
    surface: Surface  #: main color and material
    second: Surface  #: second color and material

    def draw(self, canvas: np.ndarray, frame: int) -> None:
        """Draw over ``canvas`` (uint8[H, W] label map) if it is visible in ``frame``."""
        if not self.first <= frame <= self.last:
            return
        progress = (frame - self.first) / max(self.last - self.first, 1)
        height, width = canvas.shape
        x = (self.start + progress * (self.end - self.start)) * width
        _KINDS[self.kind][0](self, canvas, x, height, width)


def draw_occluder(rng: np.random.Generator, frames: int, share: tuple[float, float]) -> Occluder:
    """Draw an occluder for a tracklet of ``frames`` frames, visible in a fraction of them within ``share``."""
    kind = choose(rng, {name: weight for name, (_, weight, _) in _KINDS.items()})
    shown = max(1, round(uniform(rng, share) * frames))
    first = int(rng.integers(frames - shown + 1))
    from_left = rng.random() < 0.5
    left, right = uniform(rng, (-0.15, 0.35)), uniform(rng, (0.65, 1.15))
    start, end = (left, right) if from_left else (right, left)
    size = uniform(rng, _KINDS[kind][2])
    colors = dict.fromkeys(COLORS, 1.0)
    return Occluder(
        kind, first, first + shown - 1, start, end, size, uniform(rng, (0.62, 0.82)),
        draw_surface(rng, colors, _MATERIALS), draw_surface(rng, colors, _MATERIALS),
    )  # fmt: skip


def _pole(item: Occluder, canvas, x: float, height: int, width: int) -> None:
    half = 0.5 * item.size * width
    cv2.rectangle(canvas, (int(x - half), 0), (int(x + half), height), label(Part.OCCLUDER, Shade.DIM), -1)
    cv2.rectangle(canvas, (int(x - half), 0), (int(x + 0.3 * half), height), label(Part.OCCLUDER), -1)


def _box(item: Occluder, canvas, x: float, height: int, width: int) -> None:
    half, top = 0.5 * item.size * width, int(item.top * height)
    left, right = int(x - half), int(x + half)
    cv2.rectangle(canvas, (left, top), (right, height), label(Part.OCCLUDER, Shade.DIM), -1)
    cv2.rectangle(canvas, (left, top), (right, top + height // 24), label(Part.OCCLUDER_SECOND), -1)


def _bush(item: Occluder, canvas, x: float, height: int, width: int) -> None:
    half, top = 0.5 * item.size * width, item.top * height
    for number in range(7):
        shade = (Shade.PLAIN, Shade.DIM, Shade.LIT)[number % 3]
        center = (int(x + (number - 3) / 3 * half), int(top + 0.05 * height * (2 + (number * 5 % 3))))
        cv2.circle(canvas, center, int(0.45 * half + 2), label(Part.OCCLUDER, shade), -1)
    corner = (int(x - half), int(top + 0.16 * height))
    cv2.rectangle(canvas, corner, (int(x + half), height), label(Part.OCCLUDER), -1)


def _passer(item: Occluder, canvas, x: float, height: int, width: int) -> None:
    """Draw a person who crosses closer to the camera, cut off by the frame."""
    body, legs = label(Part.OCCLUDER, Shade.PLAIN), label(Part.OCCLUDER_SECOND, Shade.DIM)
    thick = max(2, int(item.size * width * 0.8))
    middle, chest, foot = int(0.62 * height), int(0.40 * height), int(1.05 * height)
    cv2.line(canvas, (int(x), middle), (int(x + 0.12 * width), foot), legs, max(1, thick // 2))
    cv2.line(canvas, (int(x), middle), (int(x - 0.12 * width), foot), legs, max(1, thick // 2))
    cv2.line(canvas, (int(x), chest), (int(x), middle), body, thick)
    cv2.circle(canvas, (int(x), int(0.24 * height)), int(0.11 * width) + 1, label(Part.HAIR), -1)


# kind: how to draw it, weight, and range of its size in frame widths
_KINDS = {
    'pole': (_pole, 2, (0.10, 0.22)), 'box': (_box, 2, (0.5, 0.9)),
    'bush': (_bush, 1.5, (0.5, 0.9)), 'passer': (_passer, 2, (0.4, 0.5)),
}  # fmt: skip


@dataclass(frozen=True)
class Walk:
    """One walk."""

    turn: float  #: deviation of the walking direction from the camera's azimuth, in radians
    phases: np.ndarray  #: float64[T], position in the gait cycle of each frame, in radians
    shift: np.ndarray  #: float64[T, 2], displacement of the crop (right, down) in frame heights
    zoom: np.ndarray  #: float64[T], factor on the figure's size
    gain: np.ndarray  #: float64[T], level of the light
    smear: np.ndarray  #: float64[T], length of the motion blur in frame widths
    scenery: np.ndarray  #: float64[T], left edge of the background in frame widths, in [0, 2]
    occluder: Occluder | None  #: object that passes in front, or None

    def __len__(self) -> int:
        return len(self.phases)


def draw_walk(rng: np.random.Generator, domain: Domain, identity: Identity, frames: int) -> Walk:
    """Draw a random walk of ``frames`` frames with the walk's own generator; the cadence varies by a few percent."""
    time = np.arange(frames)
    cadence = identity.gait.cadence * (1 + 0.04 * rng.standard_normal())
    phases = 2 * np.pi * (rng.random() + cadence * time)
    steady = domain.offset * rng.standard_normal(2) * (1.0, 0.6)
    shift = steady + domain.crop_jitter * rng.standard_normal((frames, 2))
    zoom = (1 + 0.02 * rng.standard_normal()) * (1 + 0.5 * domain.crop_jitter * rng.standard_normal(frames))
    start = uniform(rng, (0.4, 1.6))
    scenery = np.clip(start + uniform(rng, (-0.06, 0.06)) * time, 0, 2)
    occluded = rng.random() < domain.occluded
    turn = float(np.deg2rad(domain.heading_jitter) * rng.standard_normal())
    gain = 1 + 0.015 * rng.standard_normal(frames)
    occluder = draw_occluder(rng, frames, domain.occluded_frames) if occluded else None
    # Drawn last, and only where a domain has them, so that worlds without these effects stay the same.
    if rng.random() < domain.changing_light:
        gain = gain * draw_light(rng, frames)
    smear = draw_smear(rng, frames, domain.motion_blur) if domain.motion_blur else np.zeros(frames)
    return Walk(turn, phases, shift, zoom, gain, smear, scenery, occluder)


def draw_light(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Draw the light's level on the way through a shadow, or out of it: float64[frames], 1 outside."""
    depth, width = uniform(rng, (0.35, 0.7)), uniform(rng, (0.02, 0.25)) * frames
    enter = uniform(rng, (-0.3, 0.8)) * frames
    leave = enter + uniform(rng, (0.25, 1.0)) * frames
    time = np.arange(frames)
    inside = np.clip((time - enter) / width + 0.5, 0, 1) * np.clip((leave - time) / width + 0.5, 0, 1)
    return 1 - depth * inside


def draw_smear(rng: np.random.Generator, frames: int, share: float) -> np.ndarray:
    """Draw motion blur for a share of the frames, in frame widths: float64[frames]."""
    blurred = rng.random(frames) < share
    return np.where(blurred, rng.uniform(0.06, 0.2, frames), 0.0)
