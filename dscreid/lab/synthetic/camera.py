"""Cameras: position, lighting, and their visible and infrared sensors."""

from dataclasses import dataclass

import cv2
import numpy as np

from dscreid.lab.synthetic.domain import Domain
from dscreid.lab.synthetic.seeding import choose, uniform
from dscreid.lab.synthetic.sensor import InfraredSensor, draw_sensor
from dscreid.structures import Modality


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
        sensor=draw_sensor(rng, domain.modality_gap, domain.sensor_spread, domain.material_spread),
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
