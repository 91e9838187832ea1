"""Conditions on the tracklets of a gallery; each storage writes them in its own language."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, Union


@dataclass(frozen=True)
class OneOf:
    """A text column has one of the values; at least one value is given."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """The first known time of some columns is before (or at, or after) a time; false if none is known.

    Attributes:
        columns: Names of columns.
        relation: How the column's time relates to the other one.
        time: A time as it is stored, without a time zone.
    """

    columns: tuple[str, ...]
    relation: Literal['<', '<=', '>=']
    time: datetime


@dataclass(frozen=True)
class Zoned:
    """The tracklet's times have a time zone, or have none; None if it has no times."""

    value: bool | None


@dataclass(frozen=True)
class Not:
    """The condition does not hold."""

    condition: 'Condition'


@dataclass(frozen=True)
class All:
    """All conditions hold."""

    conditions: tuple['Condition', ...]


@dataclass(frozen=True)
class Either:
    """At least one condition holds."""

    conditions: tuple['Condition', ...]


Condition: TypeAlias = Union[OneOf, Compared, Zoned, Not, All, Either]  # noqa: UP007  its members name it as a text

#: Start and end of a tracklet, which are the same if only one is known.
START, END = ('start_time', 'end_time'), ('end_time', 'start_time')


def all_of(conditions: Sequence[Condition | None]) -> Condition | None:
    """Join conditions, all of which must hold; None stands for no condition."""
    given = tuple(condition for condition in conditions if condition is not None)
    return None if not given else given[0] if len(given) == 1 else All(given)
