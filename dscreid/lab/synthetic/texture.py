"""Patterns of upper garments as masks on a cylinder around the body."""

import numpy as np

from dscreid.lab.synthetic.figure import SHADE_STEP, Part, Shade
from dscreid.lab.synthetic.identity import Pattern

ROWS, COLUMNS = 48, 96  # height of the garment, angle around the body


def _checks(height, angle, pattern: Pattern):
    rows = (height * pattern.period + pattern.phase) % 1 < 0.5
    columns = (angle / (2 * np.pi) * round(2 * pattern.period)) % 1 < 0.5
    return rows ^ columns


def _logo(height, angle, pattern: Pattern):
    across = np.abs(_wrapped(angle - pattern.turn)) / (0.5 + 0.5 * pattern.duty)
    down = np.abs(height - 0.36) / (0.10 + 0.2 * pattern.duty)
    shape = int(pattern.phase * 3)
    return (np.maximum(across, down), across**2 + down**2, across + down)[shape] < 1


def _stripes_v(height, angle, pattern: Pattern):
    return (angle / (2 * np.pi) * round(3 * pattern.period) + pattern.phase) % 1 < pattern.duty


def _sash(height, angle, pattern: Pattern):
    slope = 0.4 if pattern.phase < 0.5 else -0.4
    return np.abs(height - 0.45 - slope * np.sin(angle)) < 0.06 + 0.15 * pattern.duty


def _dots(height, angle, pattern: Pattern):
    rows = (height * pattern.period + pattern.phase) % 1 - 0.5
    columns = (angle / (2 * np.pi) * round(2.2 * pattern.period)) % 1 - 0.5
    return rows**2 + columns**2 < 0.08 + 0.1 * pattern.duty


# Functions of height (0 at the shoulder, 1 at the hem), angle around the body (0 at the chest) and pattern.
PATTERNS = {
    'plain': lambda height, angle, pattern: np.zeros(np.broadcast(height, angle).shape, dtype=bool),
    'stripes_h': lambda height, angle, pattern: (height * pattern.period + pattern.phase) % 1 < pattern.duty,
    'stripes_v': _stripes_v,
    'checks': _checks,
    'logo': _logo,
    'band': lambda height, angle, pattern: (
        np.abs(height - (0.25 + 0.45 * pattern.phase)) < 0.5 * (0.12 + 0.3 * pattern.duty)
    ),
    'yoke': lambda height, angle, pattern: height < 0.18 + 0.4 * pattern.duty,
    'halves': lambda height, angle, pattern: angle * (1 if pattern.phase < 0.5 else -1) > 0,
    'sash': _sash,
    'open': lambda height, angle, pattern: np.abs(_wrapped(angle)) < 0.2 + 0.5 * pattern.duty,
    'hem': lambda height, angle, pattern: height > 0.9 - 0.5 * pattern.duty,
    'dots': _dots,
}


def pattern_mask(pattern: Pattern) -> np.ndarray:
    """Return a mask of the garment's second surface, bool[ROWS, COLUMNS].

    Rows go from the shoulder down, columns over the angle around the body from -pi to pi; 0 is the chest and positive
    is toward the walker's left.
    """
    height = ((np.arange(ROWS) + 0.5) / ROWS)[:, None]
    angle = (((np.arange(COLUMNS) + 0.5) / COLUMNS - 0.5) * 2 * np.pi)[None, :]
    return np.broadcast_to(PATTERNS[pattern.kind](height, angle, pattern), (ROWS, COLUMNS))


def visible_side(mask: np.ndarray, azimuth: float, columns: int = 32) -> np.ndarray:
    """Project the half of a ``pattern_mask`` that faces the camera: bool[ROWS, columns], left to right."""
    across = (np.arange(columns) + 0.5) / columns * 2 - 1
    angle = _wrapped(np.arcsin(across) - azimuth)
    index = np.clip(((angle / (2 * np.pi) + 0.5) * COLUMNS).astype(int), 0, COLUMNS - 1)
    return mask[:, index]


def label_texture(mask: np.ndarray) -> np.ndarray:
    """Convert the visible half of a garment, bool[rows, columns], to labels, uint8, shaded like a lit cylinder."""
    across = np.linspace(-1, 1, mask.shape[1])
    shade = np.full(mask.shape[1], int(Shade.PLAIN))
    shade[(across > -0.5) & (across < -0.1)] = Shade.LIT
    shade[np.abs(across + 0.02) > 0.82] = Shade.DIM
    part = np.where(mask, int(Part.UPPER_SECOND), int(Part.UPPER))
    return (part + SHADE_STEP * shade[None, :]).astype(np.uint8)


def _wrapped(angle):
    """Wrap angles to [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
