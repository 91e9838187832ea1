"""The spec of a world. Together with the code, it determines every byte of the world."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dscreid.errors import ConfigError
from dscreid.lab.synthetic.camera import SENSORS
from dscreid.lab.synthetic.domain import Domain, get_domain


@dataclass(frozen=True)
class Layout:
    """Limits of a data set layout."""

    identities: int  #: largest number of identities
    cameras: int  #: largest number of cameras, or the only one if ``fixed_cameras``
    domain: str  #: default appearance
    fixed_cameras: bool = False  #: whether the layout has a folder for each camera, which must not be empty
    least: Mapping[str, int] = field(default_factory=dict)  #: fields of ``WorldSpec`` and their smallest values


#: Data set layouts; ``sysu`` (SYSU-MM01), ``regdb`` and ``llcm`` hold single pictures.
LAYOUTS = {
    'hitsz': Layout(9999, 9, 'hitsz'),
    'bupt': Layout(999_999, 6, 'bupt'),
    'sysu': Layout(9999, 6, 'hitsz', fixed_cameras=True, least={'train_ids': 2, 'test_tracklets': 4}),
    'regdb': Layout(9999, 2, 'hitsz', fixed_cameras=True),
    'llcm': Layout(9999, 9, 'hitsz', fixed_cameras=True, least={'test_tracklets': 9}),
}
# Domain settings that a world can override, with their largest values.
_FROM_DOMAIN = {
    'modality_gap': 1.5, 'occluded': 1.0, 'changing_light': 1.0, 'motion_blur': 1.0, 'sensor_spread': 1.0,
    'material_spread': 1.0,
}  # fmt: skip
_FAULTS = 'switched', 'cut'
_LEAST = {
    'seed': 0, 'train_ids': 1, 'test_ids': 1, 'auxiliary_ids': 0, 'tracklets': 1, 'test_tracklets': 2,
    'auxiliary_tracklets': 1, 'cameras': 1, 'min_frames': 1, 'max_frames': 1, 'height': 16, 'width': 8,
}  # fmt: skip


@dataclass(frozen=True)
class WorldSpec:
    """Content and size of a world."""

    layout: str  #: layout of the files, a key of ``LAYOUTS``
    domain: str  #: appearance of the world, 'bupt', 'hitsz', 'varied' or 'everyday'
    seed: int = 0  #: seed of everything, at least 0
    train_ids: int = 8  #: training identities
    test_ids: int = 6  #: test identities. The splits share no person.
    auxiliary_ids: int = 0  #: BUPTCampus' auxiliary identities, each under one camera
    tracklets: int = 4  #: tracklets per training identity and modality
    test_tracklets: int = 4  #: tracklets per test identity and modality
    auxiliary_tracklets: int = 2  #: tracklets per auxiliary identity and modality
    cameras: int = 6  #: number of cameras. Each person passes them in a different order.
    min_frames: int = 12  #: shortest tracklet
    max_frames: int = 12  #: longest tracklet
    height: int = 64  #: height of a frame in pixels
    width: int = 32  #: width of a frame in pixels
    # None uses the domain's default.
    modality_gap: float | None = None  #: distance of the infrared sensor from the source family's, 0 to 1.5
    occluded: float | None = None  #: probability that a tracklet has an occluder
    changing_light: float | None = None  #: probability that the light changes within a tracklet
    motion_blur: float | None = None  #: share of frames blurred by motion
    sensor_spread: float | None = None  #: variation of the infrared sensor between cameras, 0 to 1
    material_spread: float | None = None  #: infrared difference between materials of the same color, 0 to 1
    sensor: str = 'family'  #: what the modality gap moves: 'family', everything, or 'rule', only the tones of colors
    # Faults of a tracker, in training tracklets only: the published test tracklets were checked by people.
    switched: float = 0.0  #: probability that a training tracklet ends with another person
    cut: float = 0.0  #: probability that a training walk is cut into two tracklets
    fake_ir: bool = False  #: whether to also write BUPTCampus' FakeIR frames

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ConfigError(f'unknown layout {self.layout!r}; choose one of {", ".join(LAYOUTS)}')
        domain = get_domain(self.domain)
        for name in _FROM_DOMAIN:
            value = getattr(self, name)
            object.__setattr__(self, name, float(getattr(domain, name) if value is None else value))
        self._check_values()
        self._check_layout()

    @property
    def appearance(self) -> Domain:
        """The domain with this world's overrides."""
        overrides: dict[str, Any] = {name: getattr(self, name) for name in _FROM_DOMAIN}
        return replace(get_domain(self.domain), sensor=self.sensor, **overrides)

    def to_dict(self) -> dict:
        """Return all fields as plain values for JSON."""
        return asdict(self)

    def _check_values(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ConfigError(f'{name} must be an integer of at least {least}, got {value!r}')
        if self.max_frames < self.min_frames:
            raise ConfigError(f'max_frames={self.max_frames} must not be below min_frames={self.min_frames}')
        if self.sensor not in SENSORS:
            raise ConfigError(f'unknown sensor {self.sensor!r}; choose one of {", ".join(SENSORS)}')
        for name, most in (_FROM_DOMAIN | dict.fromkeys(_FAULTS, 1.0)).items():
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f'{name} must lie between 0 and {most:g}, got {getattr(self, name)}')

    def _check_layout(self) -> None:
        layout = LAYOUTS[self.layout]
        values = {'identities': self.train_ids + self.auxiliary_ids + self.test_ids, 'cameras': self.cameras}
        for what, value in values.items():
            if value > (most := getattr(layout, what)):
                raise ConfigError(f'layout {self.layout} has room for {most} {what}, not {value}; use fewer')
        if layout.fixed_cameras and self.cameras < layout.cameras:
            raise ConfigError(f'layout {self.layout} has {layout.cameras} cameras, not {self.cameras}')
        for name, least in layout.least.items():
            if getattr(self, name) < least:
                raise ConfigError(f'layout {self.layout} needs {name} of at least {least}, not {getattr(self, name)}')
        if self.layout != 'bupt' and (self.auxiliary_ids or self.fake_ir):
            raise ConfigError('auxiliary identities and FakeIR frames exist in layout bupt only; omit them')
