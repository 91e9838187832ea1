"""Select tracklets of a gallery by camera, modality, time, age and similarity."""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from dscreid.datasets.tracklet_table import parse_time
from dscreid.deployment.gallery_conditions import END, START, All, Compared, Condition, Either, OneOf, Zoned, all_of
from dscreid.errors import ConfigError
from dscreid.structures import Modality

_UNITS = {'h': timedelta(hours=1), 'd': timedelta(days=1), 'w': timedelta(weeks=1)}


@dataclass(frozen=True)
class Filters:
    """Conditions that a tracklet must meet, all of them.

    Attributes:
        cameras: Names of cameras, one of which must be the tracklet's; empty for all.
        modality: Its modality; None for both.
        start: It must not end before this time; None for no bound. Tracklets without a time never meet a bound.
        end: It must not start after this time; None for no bound.

    Raises:
        ConfigError: If the bounds are in the wrong order, or only one has a time zone.
    """

    cameras: Sequence[str] = ()
    modality: Modality | None = None
    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start and self.end:
            if is_zoned(self.start) != is_zoned(self.end):
                raise ConfigError('--from and --to need the same kind of time, both with or both without a time zone')
            if self.end < self.start:
                raise ConfigError(f'--to {self.end.isoformat()} is before --from {self.start.isoformat()}')

    @property
    def zoned(self) -> bool | None:
        """Whether the bounds have a time zone; None without bounds."""
        bound = self.start or self.end
        return None if bound is None else is_zoned(bound)

    def condition(self) -> Condition | None:
        """Describe the conditions for the gallery's storage; None without any."""
        return all_of(
            [
                OneOf('camera', tuple(self.cameras)) if self.cameras else None,
                OneOf('modality', (self.modality.value,)) if self.modality else None,
                Compared(END, '>=', as_stored(self.start)) if self.start else None,
                Compared(START, '<=', as_stored(self.end)) if self.end else None,
            ]
        )

    def describe(self) -> str:
        """Write the conditions in words, ``''`` without any."""
        parts = [] if self.modality is None else [{'rgb': 'visible', 'ir': 'infrared'}[self.modality.value]]
        parts += [f'camera {" or ".join(self.cameras)}'] if self.cameras else []
        parts += [f'from {self.start.isoformat(" ")}'] if self.start else []
        parts += [f'to {self.end.isoformat(" ")}'] if self.end else []
        return ', '.join(parts)


def older_than(age: timedelta, now: datetime | None = None) -> Condition:
    """Make the condition that a tracklet ended before ``now - age``, or, without a time, was added before then.

    Args:
        age: The age.
        now: A time with a time zone; by default the present. Times without a zone are compared with the clock of this
            machine.
    """
    limit = (now or datetime.now(timezone.utc)) - age
    stored, local = as_stored(limit), limit.astimezone().replace(tzinfo=None)
    cases: list[tuple[bool | None, tuple[str, ...], datetime]] = [
        (True, END, stored), (False, END, local), (None, ('added',), stored),
    ]  # fmt: skip
    return Either(tuple(All((Zoned(zoned), Compared(columns, '<', time))) for zoned, columns, time in cases))


def parse_age(text: str) -> timedelta:
    """Parse an age such as ``30d``, in hours, days or weeks. Raises ValueError."""
    match = re.fullmatch(r'(\d+(?:\.\d+)?)([hdw])', text)
    if match is None:
        raise ValueError(f'{text!r} is not an age such as 30d; write a number and h, d or w')
    return float(match[1]) * _UNITS[match[2]]


def parse_threshold(text: str) -> tuple[str, float]:
    """Parse a threshold: ``('rate', 0.001)`` for ``1e-3``, ``('similarity', 0.8)`` for ``similarity=0.8``.

    Raises:
        ValueError: If it is neither, or out of range.
    """
    match = re.fullmatch(r'(similarity=)?([-+]?[\d.]+(?:[eE][-+]?\d+)?)', text)
    try:
        value = float(match[2]) if match else None
    except ValueError:
        value = None
    if match is None or value is None:
        raise ValueError(f'{text!r} is neither a false-match rate such as 1e-3 nor a similarity such as similarity=0.8')
    if match[1]:
        return 'similarity', value
    if not 0 < value < 1:
        raise ValueError(f'a false-match rate must be between 0 and 1, got {text}; or write similarity={text}')
    return 'rate', value


def is_zoned(time: datetime) -> bool:
    """Whether a time has a time zone."""
    return time.tzinfo is not None


def as_stored(time: datetime) -> datetime:
    """Convert a time to what the gallery stores, without a time zone: UTC if it had one."""
    return time.astimezone(timezone.utc).replace(tzinfo=None) if is_zoned(time) else time


def add_gallery(parser: argparse._ActionsContainer, required: bool = True) -> None:
    """Add the option that names a gallery."""
    parser.add_argument(
        '--gallery', required=required, metavar='G',
        help='folder of the gallery, or its address http://HOST:19530/NAME on a Milvus server; the environment '
        'variable MILVUS_TOKEN then holds USER:PASSWORD or an API key',
    )  # fmt: skip


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add an option for each condition."""
    group = parser.add_argument_group('which tracklets')
    group.add_argument('--camera', nargs='+', default=[], metavar='NAME', help='only tracklets of these cameras')
    group.add_argument('--modality', choices=[one.value for one in Modality], help='only visible or only infrared')
    group.add_argument(
        '--from', dest='start', type=argument(parse_time), metavar='TIME',
        help='only those that end at this time or later, for example 2026-03-01T08:30:00',
    )  # fmt: skip
    group.add_argument(
        '--to', dest='end', type=argument(parse_time), metavar='TIME', help='only those that start by this time'
    )


def filters_of(args: argparse.Namespace) -> Filters:
    """Collect the conditions of a command line."""
    modality = None if args.modality is None else Modality(args.modality)
    return Filters(tuple(args.camera), modality, args.start, args.end)


def argument(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Make the ``type`` of an option from a function that raises ValueError with a sentence."""

    def parsed(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed
