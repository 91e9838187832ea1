"""The spec of a world. Together with the code, it determines every byte of the world."""

from dataclasses import asdict, dataclass, replace

from ...errors import ConfigError
from .domain import Domain, get_domain

LAYOUTS = ('hitsz', 'bupt')
MAX_GAP = 1.5


@dataclass(frozen=True)
class WorldSpec:
    """Content and size of a world.

    Attributes:
        layout: Dataset layout of the files, 'hitsz' or 'bupt'.
        domain: Appearance of the world, 'bupt', 'hitsz', 'varied' or 'everyday'.
        seed: Seed of everything, at least 0.
        train_ids: Training identities.
        test_ids: Test identities. The splits share no person.
        auxiliary_ids: BUPTCampus' auxiliary identities, each under one camera.
        tracklets: Tracklets per training identity and modality.
        test_tracklets: Tracklets per test identity and modality.
        auxiliary_tracklets: Tracklets per auxiliary identity and modality.
        cameras: Number of cameras. Each person passes them in a different order.
        min_frames: Shortest tracklet.
        max_frames: Longest tracklet.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
        modality_gap: Distance of the infrared sensor from the source family's, 0 to 1.5 (see ``sensor.py``). None
            uses the domain's default.
        occluded: Probability that a tracklet has an occluder. None uses the domain's default.
        sensor_spread: Variation of the infrared sensor between cameras, 0 to 1. None uses the domain's default.
        material_spread: Infrared difference between materials of the same color, 0 to 1. None uses the domain's
            default.
        fake_ir: Whether to also write BUPTCampus' FakeIR frames.
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
        """Fill in the domain's defaults and check all values."""
        domain = get_domain(self.domain)
        for name in _FROM_DOMAIN:
            value = getattr(self, name)
            object.__setattr__(self, name, float(getattr(domain, name) if value is None else value))
        self._check_values()
        self._check_layout()

    @property
    def appearance(self) -> Domain:
        """The domain with this world's overrides."""
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


# Domain settings that a world can override, with their largest values.
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
