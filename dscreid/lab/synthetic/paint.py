"""Lookup tables from labels to tones: what a person and an occluder look like to each sensor."""

import numpy as np

from dscreid.lab.synthetic.camera import Camera
from dscreid.lab.synthetic.identity import Identity
from dscreid.lab.synthetic.labels import SHADE_STEP, Part, Shade
from dscreid.lab.synthetic.palette import MATERIAL_NAMES, MATERIAL_SHEEN, Surface
from dscreid.lab.synthetic.walk import Occluder

_SHEEN = tuple(MATERIAL_SHEEN[name] for name in MATERIAL_NAMES)
# Visible light comes from the side, the illuminator's infrared light almost from the front.
_VISIBLE_SHADE = {Shade.PLAIN: 1.0, Shade.DIM: 0.80, Shade.DARK: 0.62}
_INFRARED_SHADE = {Shade.PLAIN: 1.0, Shade.DIM: 0.86, Shade.DARK: 0.72}


def surfaces(identity: Identity, occluder: Occluder | None) -> dict[Part, tuple[Surface, Surface]]:
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


def visible_table(identity: Identity, occluder: Occluder | None, camera: Camera) -> np.ndarray:
    """Return the visible colors of all labels, uint8[256, 1, 3] in OpenCV's order (blue, green, red)."""
    table = np.zeros((256, 1, 3))
    light = np.asarray(camera.light)
    for part, (surface, _) in surfaces(identity, occluder).items():
        rgb = np.asarray(surface.rgb)
        gray = rgb.mean()
        bgr = (light * (gray + camera.saturation * (rgb - gray)))[::-1]
        _fill(table, part, bgr, _VISIBLE_SHADE, 1 + _SHEEN[surface.material])
    return _as_bytes(table)


def infrared_table(identity: Identity, occluder: Occluder | None, camera: Camera) -> np.ndarray:
    """Return the infrared tones of all labels before the tone curve, uint8[256]."""
    table = np.zeros((256, 1, 1))
    for part, (surface, main) in surfaces(identity, occluder).items():
        tone = camera.sensor.second_reflectance(main, surface) if main is not surface else None
        tone = camera.sensor.reflectance(surface) if tone is None else tone
        _fill(table, part, np.array((tone,)), _INFRARED_SHADE, 1 + 0.5 * _SHEEN[surface.material])
    return _as_bytes(table)[:, 0, 0]


def _fill(table: np.ndarray, part: Part, value: np.ndarray, factors: dict[Shade, float], lit: float) -> None:
    """Write one part in all shades. A dark surface keeps some sheen."""
    for shade, factor in factors.items():
        table[part + SHADE_STEP * shade, 0] = value * factor
    table[part + SHADE_STEP * Shade.LIT, 0] = value * lit + 0.10 * (lit - 1)


def _as_bytes(table: np.ndarray) -> np.ndarray:
    return np.clip(255 * table + 0.5, 0, 255).astype(np.uint8)
