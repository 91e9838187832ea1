"""What a world is made of: the one object that, with the code, decides every byte of it."""

from dataclasses import asdict, dataclass

from ...errors import ConfigError
from .domain import get_domain

LAYOUTS = ('hitsz', 'bupt')
MAX_GAP = 1.5


@dataclass(frozen=True)
class WorldSpec:
    """A world's content and size.

    Attributes:
        layout: 'hitsz' or 'bupt': which dataset's files are written.
        domain: 'bupt', 'hitsz' or 'varied': how the world looks.
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
    fake_ir: bool = False

    def __post_init__(self) -> None:
        """Fill in the domain's modality gap and check all values."""
        if self.modality_gap is None:
            object.__setattr__(self, 'modality_gap', get_domain(self.domain).modality_gap)
        object.__setattr__(self, 'modality_gap', float(self.modality_gap))
        self._check_values()
        self._check_layout()

    def to_dict(self) -> dict:
        """Return all fields as plain values for JSON."""
        return asdict(self)

    def _check_values(self) -> None:
        get_domain(self.domain)
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
        if not 0 <= self.modality_gap <= MAX_GAP:
            raise ConfigError(f'modality_gap must lie between 0 and {MAX_GAP}, not {self.modality_gap}.')

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
