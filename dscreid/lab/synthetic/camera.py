"""Cameras: position, lighting, and their visible and infrared sensors."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from dscreid.lab.synthetic.domain import Domain
from dscreid.lab.synthetic.draws import COLORS, MATERIAL_SHEEN, Surface, choose, uniform
from dscreid.structures import Modality

_COLORS, _MATERIALS = tuple(COLORS), tuple(MATERIAL_SHEEN)
DYE_GAIN = 0.11
#: of sensors that know a person by tones: colors that look alike in visible light differ more
_RULE_DYE_GAIN = 0.25
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
    """Response of one infrared camera.

    Near-infrared reflectance depends more on a fabric's fiber and dye than on its visible color. For a surface with
    visible color ``rgb``, material ``m``, color name ``c`` and individual deviation ``dye``, the sensor measures

        reflectance = offset[m] + slope[m] * (spectral . rgb) + dye_gain * dye_table[c] + item_gain * dye

    ``modality_gap`` (0 to 1.5) moves every coefficient from the values of the source family (0) to those of another
    sensor (1), which also has fainter patterns, another tone curve and the hot spot of an active illuminator. The shift
    is the same for all cameras of the domain, so it can be learned from the domain's own data.
    """

    spectral: np.ndarray  #: float64[3], weights of red, green and blue in the reflectance
    offset: np.ndarray  #: float64[materials]
    slope: np.ndarray  #: float64[materials]
    dye_table: np.ndarray  #: float64[colors]
    item_gain: float  #: weight of a garment's individual deviation
    dye_gain: float = field(default=DYE_GAIN, kw_only=True)  #: weight of the dye table
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
        value += self.dye_gain * self.dye_table[color] + self.item_gain * surface.dye
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
    return InfraredSensor(
        spectral=spectral,
        offset=offset,
        slope=slope,
        dye_table=np.sqrt(1 - 0.6 * spread**2) * _dye_table(gap) + np.sqrt(0.6) * spread * own_table,
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


def draw_rule_sensor(
    rng: np.random.Generator, gap: float, spread: float, material_spread: float = 1.0
) -> InfraredSensor:
    """Draw a sensor of the source family with another rule for the tone of a color, which all people and cameras share.

    It keeps what tells people apart within the infrared: large differences between tones, patterns, little noise. Only
    the way from visible colors to infrared tones changes, by ``gap``.
    """
    family = draw_sensor(rng, 0.0, spread, material_spread)
    return replace(
        family,
        dye_gain=_RULE_DYE_GAIN,
        dye_table=_dye_table(gap),
        pattern_contrast=0.9,
        gamma=1 + 0.2 * gap,
        hot_spot=0.1,
        vignette=0.1,
        noise=2.5,
    )


def _dye_table(gap: float) -> np.ndarray:
    # Normalized to keep dyes as far apart as at either end.
    return _between(_DYE, gap) / np.hypot(1 - gap, gap)


def _between(ends: np.ndarray, position: float) -> np.ndarray:
    return ends[0] + position * (ends[1] - ends[0])


#: What ``modality_gap`` moves: everything about the sensor, or only the rule from colors to tones.
SENSORS = {'family': draw_sensor, 'rule': draw_rule_sensor}


@dataclass(frozen=True)
class Camera:
    """One camera. The modalities share everything except the sensor."""

    azimuth: float  #: viewing direction in radians. 0 faces the walker, pi/2 sees the walk from left to right.
    elevation: float  #: angle above the horizontal in radians
    scale: float  #: height of the figure relative to the height of the frame
    light: tuple[float, float, float]  #: gain of the visible light for red, green and blue
    shade: float  #: strength of the illumination gradient over the frame
    shade_angle: float  #: direction of the gradient in radians
    saturation: float  #: factor on color saturation
    gamma: float  #: exponent of the visible tone curve
    blur: float  #: standard deviation in pixels of a 128-row frame
    resolution: float  #: linear fraction of the resolution that is kept in the file
    noise: float  #: standard deviation in gray levels
    jpeg: int  #: JPEG quality, 1-100
    background_style: str  #: name of a background style of ``background.py``
    background_level: float  #: visible brightness of the background
    background_color: float  #: saturation of the background
    infrared_background: float  #: infrared brightness of the background
    background_seed: int  #: seed of the background
    sensor: InfraredSensor  #: the infrared sensor


def draw_camera(rng: np.random.Generator, domain: Domain, number: int, count: int) -> Camera:
    """Draw the camera ``number`` (from 0) of ``count`` with its own generator.

    The number determines the azimuth unless the domain draws a camera per tracklet.
    """
    degrees = domain.azimuth_offset + domain.azimuth_spread * number / count + 8.0 * rng.standard_normal()
    if domain.camera_per_tracklet:
        degrees = 360.0 * rng.random()
    level = uniform(rng, domain.light)
    warmth, green = uniform(rng, domain.tint) * rng.choice((-1, 1)), 0.4 * uniform(rng, domain.tint)
    return Camera(
        azimuth=float(np.deg2rad(degrees)),
        elevation=float(np.deg2rad(uniform(rng, domain.elevation))),
        scale=uniform(rng, domain.scale),
        light=(level * (1 + warmth), level * (1 + green), level * (1 - warmth)),
        shade=uniform(rng, domain.shade),
        shade_angle=2 * np.pi * rng.random(),
        saturation=uniform(rng, domain.saturation),
        gamma=uniform(rng, domain.gamma),
        blur=uniform(rng, domain.blur),
        resolution=uniform(rng, domain.resolution),
        noise=uniform(rng, domain.noise),
        jpeg=round(uniform(rng, domain.jpeg)),
        background_style=choose(rng, domain.background_style),
        background_level=uniform(rng, domain.background_level),
        background_color=uniform(rng, domain.background_color),
        infrared_background=uniform(rng, domain.infrared_background),
        background_seed=int(rng.integers(2**31)),
        sensor=SENSORS[domain.sensor](rng, domain.modality_gap, domain.sensor_spread, domain.material_spread),
    )


def illumination(camera: Camera, height: int, width: int) -> dict[Modality, np.ndarray]:
    """Return the light over the frame, with mean about 1: visible float32[height, width, 3], infrared without channels.

    The visible light has a gradient, the infrared light a hot spot and a vignette.
    """
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    ramp = np.cos(camera.shade_angle) * x + np.sin(camera.shade_angle) * y
    visible = (1 + camera.shade * ramp).astype(np.float32)
    center_x, center_y = camera.sensor.hot_spot_center
    distance = (x - (2 * center_x - 1)) ** 2 + (y - (2 * center_y - 1)) ** 2
    spot = camera.sensor.hot_spot * (np.exp(-distance / 0.5) - 0.35)
    vignette = camera.sensor.vignette * ((x**2 + y**2) / 2 - 0.3)
    # Set the exposure so that the bright center is not clipped.
    infrared = ((1 + spot - vignette) / (1 + 0.5 * camera.sensor.hot_spot)).astype(np.float32)
    return {Modality.RGB: np.stack((visible,) * 3, axis=2), Modality.IR: infrared}


def tone_curves(camera: Camera) -> dict[Modality, np.ndarray]:
    """Return the tone curves of both sensors as lookup tables, uint8[256]."""
    visible = np.clip(255 * (np.arange(256) / 255.0) ** camera.gamma + 0.5, 0, 255).astype(np.uint8)
    return {Modality.RGB: visible, Modality.IR: camera.sensor.tone_curve()}


def degrade(image: np.ndarray, blur: float, resolution: float) -> np.ndarray:
    """Reduce the sharpness of uint8[H, W(, 3)] like optics (blur in pixels) and a low-resolution sensor do.

    ``resolution`` is the linear fraction of the resolution to keep, in (0, 1].
    """
    height, width = image.shape[:2]
    if resolution < 0.95:
        small = (max(4, round(width * resolution)), max(4, round(height * resolution)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    if blur > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    return image
