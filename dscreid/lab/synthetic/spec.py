"""What a world is made of: the one object that, with the code, decides every byte of it."""

from dataclasses import asdict, dataclass, replace

from ...errors import ConfigError
from .domain import Domain, get_domain

LAYOUTS = ('hitsz', 'bupt')
MAX_GAP = 1.5


@dataclass(frozen=True)
class WorldSpec:
    """A world's content and size.

    Attributes:
        layout: 'hitsz' or 'bupt': which dataset's files are written.
        domain: 'bupt', 'hitsz', 'varied' or 'everyday': how the world looks.
        seed: Seed of everything, at least 0.
        train_ids: Training identities.
        test_ids: Test identities; nobody is in two splits.
        auxiliary_ids: BUPTCampus' auxiliary identities, each under one camera.
        tracklets: Tracklets per training identity and modality.
        test_tracklets: Tracklets per test identity and modality.
        auxiliary_tracklets: Tracklets per auxiliary identity and modality.
        cameras: Number of cameras; each person passes them in an order of his own.
        min_frames: Shortest tracklet.
        max_frames: Longest tracklet.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
        modality_gap: How far the infrared sensor is from the source family's, 0 to 1.5 (see ``sensor.py``);
            None takes the domain's own default.
        occluded: Probability that a tracklet has an occluder; None takes the domain's own.
        sensor_spread: Camera-to-camera spread of the infrared sensor, 0 to 1; None takes the domain's own.
        material_spread: How far materials of one colour differ in the infrared, 0 to 1; None takes the domain's own.
        fake_ir: Write BUPTCampus' FakeIR frames too.
    """

    layout: str
    domain: str
    seed: int = 0
    train_ids: int = 8
    test_ids: int = 6
    auxiliary_ids: int = 0
    tracklets: int = 4
    test_tracklets: int = 4
    auxiliary_tracklets: int = 2
    cameras: int = 6
    min_frames: int = 12
    max_frames: int = 12
    height: int = 64
    width: int = 32
    modality_gap: float | None = None
    occluded: float | None = None
    sensor_spread: float | None = None
    material_spread: float | None = None
    fake_ir: bool = False

    def __post_init__(self) -> None:
        """Fill in the domain's own values and check all of them."""
        domain = get_domain(self.domain)
        for name in _FROM_DOMAIN:
            value = getattr(self, name)
            object.__setattr__(self, name, float(getattr(domain, name) if value is None else value))
        self._check_values()
        self._check_layout()

    @property
    def appearance(self) -> Domain:
        """The domain as this world shows it."""
        return replace(get_domain(self.domain), **{name: getattr(self, name) for name in _FROM_DOMAIN})

    def to_dict(self) -> dict:
        """Return all fields as plain values for JSON."""
        return asdict(self)

    def _check_values(self) -> None:
        if self.layout not in LAYOUTS:
            raise ConfigError(f'Unknown layout {self.layout!r}: choose one of {", ".join(LAYOUTS)}.')
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(
                    f'{name} of a synthetic world must be an integer of at least {least}, not {value!r}.'
                )
        if self.max_frames < self.min_frames:
            raise ConfigError(
                f'max_frames ({self.max_frames}) must not be below min_frames ({self.min_frames}).'
            )
        for name, most in _FROM_DOMAIN.items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ConfigError(f'{name} must lie between 0 and {most:g}, not {value}.')

    def _check_layout(self) -> None:
        most = {'hitsz': 9999, 'bupt': 999_999}[self.layout]
        total = self.train_ids + self.auxiliary_ids + self.test_ids
        if total > most:
            raise ConfigError(
                f'Layout {self.layout} has room for {most} identities, not {total}: ask for fewer.'
            )
        if self.layout == 'bupt' and self.cameras > 6:
            raise ConfigError(f'Layout bupt has 6 cameras, not {self.cameras}: ask for at most 6.')
        if self.layout == 'hitsz' and (self.auxiliary_ids or self.fake_ir):
            raise ConfigError(
                'Auxiliary identities and FakeIR frames exist in layout bupt only: leave them out.'
            )
        if self.layout == 'hitsz' and self.cameras > 9:
            raise ConfigError(f'Layout hitsz has room for 9 cameras, not {self.cameras}: ask for at most 9.')


# What a world may set in its domain's place, with its largest value.
_FROM_DOMAIN = {'modality_gap': MAX_GAP, 'occluded': 1.0, 'sensor_spread': 1.0, 'material_spread': 1.0}
_LEAST = {
    'seed': 0,
    'train_ids': 1,
    'test_ids': 1,
    'auxiliary_ids': 0,
    'tracklets': 1,
    'test_tracklets': 2,
    'auxiliary_tracklets': 1,
    'cameras': 1,
    'min_frames': 1,
    'max_frames': 1,
    'height': 16,
    'width': 8,
}
