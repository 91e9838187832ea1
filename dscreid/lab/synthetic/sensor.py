"""The near-infrared sensor: reflectance of materials and the response of the camera.

Near-infrared reflectance depends more on a fabric's fiber and dye than on its visible color. For a surface with
visible color ``rgb``, material ``m``, color name ``c`` and individual deviation ``dye``, the sensor measures

    reflectance = offset[m] + slope[m] * (spectral . rgb) + DYE_GAIN * dye_table[c] + item_gain * dye

``modality_gap`` (0 to 1.5) moves every coefficient from the values of the source family (0) to those of another
sensor (1), which also has fainter patterns, another tone curve and the hot spot of an active illuminator. The shift is
the same for all cameras of the domain, so it can be learned from the domain's own data.
"""

from dataclasses import dataclass

import numpy as np

from dscreid.lab.synthetic.palette import COLORS, MATERIAL_SHEEN, Surface
from dscreid.lab.synthetic.seeding import uniform

_COLORS, _MATERIALS = tuple(COLORS), tuple(MATERIAL_SHEEN)
DYE_GAIN = 0.11
ITEM_GAIN = 0.05
# material: (offset, slope) of the source family and of the sensor at modality_gap = 1
_RESPONSE = {
    'cotton': ((0.28, 0.50), (0.52, 0.20)), 'denim': ((0.22, 0.48), (0.12, 0.30)),
    'wool': ((0.18, 0.50), (0.40, 0.24)), 'polyester': ((0.40, 0.40), (0.16, 0.34)),
    'nylon': ((0.34, 0.42), (0.60, 0.14)), 'leather': ((0.08, 0.45), (0.26, 0.26)),
    'skin': ((0.44, 0.28), (0.56, 0.16)), 'hair': ((0.14, 0.42), (0.28, 0.30)),
}  # fmt: skip
_SPECTRAL = np.array(((0.60, 0.30, 0.10), (0.05, 0.35, 0.60)))
_OFFSET = np.array([[_RESPONSE[m][s][0] for m in _MATERIALS] for s in range(2)])
_SLOPE = np.array([[_RESPONSE[m][s][1] for m in _MATERIALS] for s in range(2)])
# Two unrelated dye tables, fixed for all worlds. Rows: source family, other sensor.
_DYE = np.random.default_rng(20_260_719).standard_normal((2, len(_COLORS)))


@dataclass(frozen=True)
class InfraredSensor:
    """Response of one infrared camera."""

    spectral: np.ndarray  #: float64[3], weights of red, green and blue in the reflectance
    offset: np.ndarray  #: float64[materials]
    slope: np.ndarray  #: float64[materials]
    dye_table: np.ndarray  #: float64[colors]
    item_gain: float  #: weight of a garment's individual deviation
    pattern_contrast: float  #: remaining reflectance difference between a garment's two surfaces, in [0, 1]
    gamma: float  #: exponent of the tone curve on [0, 1]
    contrast: float  #: gain of the tone curve around 0.45
    lift: float  #: offset of the tone curve
    hot_spot: float  #: strength of the illuminator's bright center
    hot_spot_center: tuple[float, float]  #: position (x, y) of the hot spot as fractions of the frame
    vignette: float  #: darkening towards the corners
    noise: float  #: standard deviation in gray levels
    blur: float  #: factor on the camera's blur

    def reflectance(self, surface: Surface) -> float:
        """Return the fraction of infrared light that ``surface`` reflects, in [0.03, 0.97]."""
        brightness = float(self.spectral @ surface.rgb)
        material, color = _MATERIALS.index(surface.material), _COLORS.index(surface.color)
        value = self.offset[material] + self.slope[material] * brightness
        value += DYE_GAIN * self.dye_table[color] + self.item_gain * surface.dye
        return float(np.clip(value, 0.03, 0.97))

    def reflectance_on(self, main: Surface, surface: Surface) -> float:
        """Return the reflectance of a surface of a garment with the given main surface: patterns lose contrast."""
        base = self.reflectance(main)
        return base + self.pattern_contrast * (self.reflectance(surface) - base)

    def tone_curve(self) -> np.ndarray:
        """Return the tone curve as a lookup table, uint8[256]."""
        x = np.arange(256) / 255.0
        y = self.contrast * (x**self.gamma - 0.45) + 0.45 + self.lift
        # A soft shoulder and toe preserve the order of tones, unlike hard clipping.
        y = 0.5 + 0.5 * np.tanh(1.5 * (y - 0.5)) / np.tanh(0.75)
        return np.clip(255.0 * y + 0.5, 0, 255).astype(np.uint8)


def draw_sensor(rng: np.random.Generator, gap: float, spread: float, material_spread: float = 1.0) -> InfraredSensor:
    """Draw the infrared sensor of one camera, with the camera's generator; see ``Domain`` for the settings."""
    offset = _between(_OFFSET, gap)
    offset = offset + (1 - material_spread) * (offset.mean() - offset)
    offset = offset + 0.13 * spread * rng.standard_normal(len(_MATERIALS))
    slope = _between(_SLOPE, gap) * (1 + 0.35 * spread * rng.standard_normal(len(_MATERIALS)))
    own_table = rng.standard_normal(len(_COLORS))
    spectral = _between(_SPECTRAL, gap) * (1 - 0.6 * spread) + 0.6 * spread * rng.dirichlet((1.5, 1.5, 1.5))
    hot_spot_center = (uniform(rng, (0.35, 0.65)), uniform(rng, (0.3, 0.6)))
    # Normalized to keep dyes as far apart as at either end.
    dye_table = _between(_DYE, gap) / np.hypot(1 - gap, gap)
    return InfraredSensor(
        spectral=spectral,
        offset=offset,
        slope=slope,
        dye_table=np.sqrt(1 - 0.6 * spread**2) * dye_table + np.sqrt(0.6) * spread * own_table,
        item_gain=ITEM_GAIN * material_spread,
        pattern_contrast=max(0.95 - 0.65 * gap, 0.05) * (1 - 0.4 * spread * rng.random()),
        gamma=(1.0 + 0.30 * gap) * float(np.exp(spread * uniform(rng, (-0.4, 0.4)))),
        contrast=(1.0 + 0.1 * gap) * float(np.exp(spread * uniform(rng, (-0.3, 0.2)))),
        lift=0.07 * gap + spread * uniform(rng, (-0.12, 0.12)),
        hot_spot=0.05 + 0.40 * gap + spread * uniform(rng, (0.0, 0.35)),
        hot_spot_center=hot_spot_center,
        vignette=0.05 + 0.30 * gap + spread * uniform(rng, (0.0, 0.25)),
        noise=2.5 + spread * uniform(rng, (-1.5, 5.0)),
        blur=1.0 + 0.2 * gap,
    )


def _between(ends: np.ndarray, position: float) -> np.ndarray:
    return ends[0] + position * (ends[1] - ends[0])
