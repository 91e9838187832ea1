"""Findings of the doctor's checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Severity(IntEnum):
    """Severity of a finding, in ascending order."""

    OK = 0
    INFO = 1
    WARNING = 2
    BROKEN = 3


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    Attributes:
        check: Name of the check, for example ``'frames'``.
        subject: The checked object, for example ``'hitsz_vcm train'``.
        severity: ``BROKEN`` if a run would stop or go wrong, ``WARNING`` if results may suffer.
        message: The result in one sentence.
        remedy: How to fix it. Empty if there is nothing to fix.
        details: Individual cases, such as paths.
        values: Numbers behind the message, for the JSON file.
    """

    check: str
    subject: str
    severity: Severity
    message: str
    remedy: str = ''
    details: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)


def warn_if(
    problems: Sequence[str],
    check: str,
    subject: str,
    message: str,
    remedy: str,
    details: tuple[str, ...] = (),
    values: dict[str, Any] | None = None,
) -> Finding:
    """Return a warning whose message ends in the problems, or an OK finding without a remedy if there are none."""
    severity = Severity.WARNING if problems else Severity.OK
    text = '; '.join(filter(None, (message, *problems)))
    return Finding(check, subject, severity, text, remedy if problems else '', details, values or {})


def counted(counts: Mapping[str, int]) -> list[str]:
    """Format the counts above 0: ``{'frames are bad': 3}`` → ``['3 frames are bad']``."""
    return [f'{count:,} {what}' for what, count in counts.items() if count]
