"""One walk past one camera: everything that differs between tracklets of the same person."""

from dataclasses import dataclass

import numpy as np

from dscreid.lab.synthetic.domain import Domain
from dscreid.lab.synthetic.identity import Identity
from dscreid.lab.synthetic.occlusion import Occluder, draw_occluder
from dscreid.lab.synthetic.seeding import uniform


@dataclass(frozen=True)
class Walk:
    """One walk."""

    turn: float  #: deviation of the walking direction from the camera's azimuth, in radians
    phases: np.ndarray  #: float64[T], position in the gait cycle of each frame, in radians
    shift: np.ndarray  #: float64[T, 2], displacement of the crop (right, down) in frame heights
    zoom: np.ndarray  #: float64[T], factor on the figure's size
    gain: np.ndarray  #: float64[T], flicker of the light
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
    return Walk(
        turn=float(np.deg2rad(domain.heading_jitter) * rng.standard_normal()),
        phases=phases,
        shift=shift,
        zoom=zoom,
        gain=1 + 0.015 * rng.standard_normal(frames),
        scenery=scenery,
        occluder=draw_occluder(rng, frames, domain.occluded_frames) if occluded else None,
    )
