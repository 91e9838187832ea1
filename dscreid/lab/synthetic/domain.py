"""Domains: the distributions from which people, cameras and sensors are drawn."""

from dataclasses import dataclass, field

from dscreid.errors import ConfigError
from dscreid.lab.synthetic.draws import COLORS
from dscreid.utils.build_errors import closest

Range = tuple[float, float]

_PATTERNS = {
    'plain': 3.2, 'stripes_h': 1.6, 'stripes_v': 1.0, 'checks': 1.2, 'logo': 1.6, 'band': 1.2, 'yoke': 1.2,
    'halves': 0.7, 'sash': 0.7, 'open': 1.2, 'hem': 0.8, 'dots': 0.7,
}  # fmt: skip


def _weights(**emphasis: float) -> dict[str, float]:
    """Return weight 1 for every color except those given."""
    return {name: emphasis.get(name, 1.0) for name in COLORS}


@dataclass(frozen=True)
class Wardrobe:
    """Clothing statistics. Every dictionary maps names to weights."""

    upper_colors: dict[str, float] = field(default_factory=_weights)
    lower_colors: dict[str, float] = field(default_factory=_weights)
    upper_materials: dict[str, float] = field(
        default_factory=lambda: {'cotton': 4, 'polyester': 2, 'wool': 1, 'nylon': 1, 'leather': 0.5}
    )
    lower_materials: dict[str, float] = field(
        default_factory=lambda: {'cotton': 3, 'denim': 3, 'polyester': 2, 'wool': 1}
    )
    patterns: dict[str, float] = field(default_factory=lambda: dict(_PATTERNS))
    lower_kinds: dict[str, float] = field(
        default_factory=lambda: {'trousers': 4, 'wide': 1, 'shorts': 2, 'skirt': 1.5, 'dress': 0.5}
    )
    bags: dict[str, float] = field(default_factory=lambda: {'none': 3, 'backpack': 3, 'shoulder': 2, 'hand': 1.5})
    hats: dict[str, float] = field(default_factory=lambda: {'none': 4, 'cap': 1, 'beanie': 0.6, 'hood': 0.4})
    #: probabilities of sleeves that end at the shoulder, short sleeves and long sleeves
    sleeves: tuple[float, float, float] = (0.1, 0.45, 0.45)
    coats: float = 0.15  #: probability of a coat that reaches down to the thighs
    #: probabilities of black, dark brown, brown, blond and gray hair
    hair: tuple[float, float, float, float, float] = (0.55, 0.25, 0.1, 0.05, 0.05)


@dataclass(frozen=True)
class Domain:
    """Everything that distinguishes one domain from another. Ranges are (low, high) of a uniform distribution."""

    name: str  #: name in tools and specs
    code: int  #: part of every seed of the domain; not that of another domain
    wardrobe: Wardrobe  #: clothing statistics
    modality_gap: float = 0.0  #: default of the world's ``modality_gap`` (see ``camera.py``)
    camera_per_tracklet: bool = False  #: draw a camera and a sensor for each tracklet instead of per camera number
    azimuth_spread: float = 360.0  #: angle in degrees over which the cameras are spread (0 faces the walker)
    azimuth_offset: float = 0.0  #: azimuth of the first camera in degrees
    heading_jitter: float = 14.0  #: standard deviation of the walking direction in degrees
    elevation: Range = (5.0, 20.0)  #: angle of the camera above the walker in degrees
    scale: Range = (0.84, 0.93)  #: height of the figure relative to the height of the frame
    offset: float = 0.012  #: standard deviation of the crop's displacement, in frame heights
    crop_jitter: float = 0.006  #: frame-to-frame jitter of the crop, in frame heights
    light: Range = (0.85, 1.1)  #: level of illumination
    tint: Range = (0.0, 0.06)  #: strength of the light's color cast
    shade: Range = (0.0, 0.25)  #: contrast between the lit and the shadow side of the frame
    saturation: Range = (0.85, 1.05)  #: color saturation of the visible sensor
    gamma: Range = (0.9, 1.1)  #: tone curve of the visible sensor
    blur: Range = (0.4, 0.9)  #: Gaussian blur in pixels of a 128-row frame
    resolution: Range = (0.85, 1.0)  #: linear fraction of the resolution that is kept in the file
    noise: Range = (1.5, 4.0)  #: standard deviation in gray levels (0-255)
    jpeg: Range = (80, 95)  #: JPEG quality
    background_level: Range = (0.35, 0.7)  #: brightness of the background
    background_color: Range = (0.03, 0.10)  #: saturation of the background
    #: weights of 'campus', 'street', 'indoor', 'clutter'
    background_style: dict[str, float] = field(default_factory=lambda: {'campus': 1})
    infrared_background: Range = (0.25, 0.65)  #: brightness of the background in infrared
    occluded: float = 0.25  #: probability that a tracklet has an occluder
    occluded_frames: Range = (0.2, 0.5)  #: fraction of such a tracklet's frames that show the occluder
    changing_light: float = 0.0  #: probability that the light changes within a tracklet
    motion_blur: float = 0.0  #: share of frames blurred by motion
    sensor_spread: float = 0.15  #: variation of the infrared sensor between cameras. 1 is the largest.
    material_spread: float = 1.0  #: infrared difference between materials of the same color, from 0 (none) to 1
    sensor: str = 'family'  #: what ``modality_gap`` moves, a key of ``SENSORS`` of ``camera.py``


BUPT = Domain(
    name='bupt', code=1,
    wardrobe=Wardrobe(
        upper_colors=_weights(black=2, white=2), lower_colors=_weights(black=2, navy=2, blue=2)
    ),
    azimuth_offset=20.0, background_style={'campus': 2, 'street': 1},
)  # fmt: skip

HITSZ = Domain(
    name='hitsz', code=2,
    wardrobe=Wardrobe(
        upper_colors=_weights(
            black=3, charcoal=2, grey=2, white=2.5, navy=2, yellow=0.4, pink=0.6, orange=0.4
        ),
        lower_colors=_weights(
            black=4, charcoal=3, navy=3, grey=2, beige=1.5, red=0.3, orange=0.2, yellow=0.2, pink=0.3, purple=0.3,
        ),
        upper_materials={'cotton': 3, 'polyester': 3, 'nylon': 2, 'wool': 1, 'leather': 0.5},
        lower_kinds={'trousers': 5, 'wide': 1.5, 'shorts': 2, 'skirt': 1, 'dress': 0.3},
        bags={'none': 3, 'backpack': 4, 'shoulder': 1.5, 'hand': 1},
        sleeves=(0.05, 0.5, 0.45),
        coats=0.1,
        hair=(0.72, 0.18, 0.06, 0.01, 0.03),
    ),
    modality_gap=0.7, azimuth_offset=50.0, heading_jitter=12.0, elevation=(14.0, 32.0), scale=(0.80, 0.90),
    light=(0.65, 0.9), tint=(0.03, 0.10), shade=(0.1, 0.4), saturation=(0.6, 0.85), gamma=(0.95, 1.2),
    blur=(0.7, 1.2), resolution=(0.65, 0.85), noise=(2.0, 5.0), jpeg=(70, 88), background_level=(0.25, 0.55),
    background_color=(0.03, 0.12), background_style={'indoor': 2, 'street': 1},
    infrared_background=(0.28, 0.55), occluded=0.3,
)  # fmt: skip

VARIED = Domain(
    name='varied', code=3, wardrobe=Wardrobe(hair=(0.4, 0.25, 0.15, 0.1, 0.1)), camera_per_tracklet=True,
    heading_jitter=0.0, elevation=(0.0, 38.0), scale=(0.74, 0.98), offset=0.025, crop_jitter=0.012,
    light=(0.55, 1.25), tint=(0.0, 0.2), shade=(0.0, 0.55), saturation=(0.35, 1.25), gamma=(0.7, 1.45),
    blur=(0.2, 1.5), resolution=(0.5, 1.0), noise=(0.5, 9.0), jpeg=(50, 96), background_level=(0.1, 0.9),
    background_color=(0.0, 0.35), background_style={'campus': 1, 'street': 1, 'indoor': 1, 'clutter': 1},
    infrared_background=(0.1, 0.85), occluded=0.3, occluded_frames=(0.3, 1.0), sensor_spread=1.0,
)  # fmt: skip

# Covers the cameras of BUPT and HITSZ and stays close to the infrared sensors of the source family.
EVERYDAY = Domain(
    name='everyday', code=4,
    wardrobe=Wardrobe(
        upper_colors=_weights(black=2, white=2, charcoal=1.5, grey=1.5, navy=1.5),
        lower_colors=_weights(black=3, navy=2.5, blue=1.5, charcoal=2, grey=1.5),
    ),
    camera_per_tracklet=True, heading_jitter=0.0, elevation=(5.0, 32.0), scale=(0.80, 0.93), offset=0.015,
    crop_jitter=0.008, light=(0.65, 1.1), tint=(0.0, 0.10), shade=(0.0, 0.4), saturation=(0.6, 1.05),
    gamma=(0.9, 1.2), blur=(0.4, 1.2), resolution=(0.65, 1.0), noise=(1.5, 5.0), jpeg=(70, 95),
    background_level=(0.25, 0.7), background_color=(0.03, 0.12),
    background_style={'campus': 1, 'street': 1, 'indoor': 1}, infrared_background=(0.25, 0.65), occluded=0.3,
    sensor_spread=0.3,
)  # fmt: skip

#: Known domains. To add one: ``DOMAINS['night'] = replace(HITSZ, name='night', code=10, light=(0.2, 0.4))``.
DOMAINS: dict[str, Domain] = {domain.name: domain for domain in (BUPT, HITSZ, VARIED, EVERYDAY)}


def get_domain(name: str) -> Domain:
    """Return the domain with this name, or raise ConfigError if it is unknown."""
    if name not in DOMAINS:
        raise ConfigError(f'unknown domain {name!r}{closest(name, DOMAINS)} (known are {", ".join(DOMAINS)})')
    return DOMAINS[name]
