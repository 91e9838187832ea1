"""What a check found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Severity(IntEnum):
    """How much a finding matters, in ascending order."""

    OK = 0
    INFO = 1
    WARNING = 2
    BROKEN = 3


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Attributes:
        check: What was looked at, for example ``'frames'``.
        subject: Of what, for example ``'hitsz_vcm train'``.
        severity: How much it matters: a run goes wrong or stops (``BROKEN``), results may suffer (``WARNING``).
        message: What was found, one sentence.
        remedy: What to do about it; empty where nothing needs to be done.
        details: Single cases in words, such as paths.
        values: Numbers behind the message, for the JSON file.
    """

    check: str
    subject: str
    severity: Severity
    message: str
    remedy: str = ''
    details: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)


def worst(findings: Iterable[Finding]) -> Severity:
    """The highest severity among the findings; ``OK`` without any."""
    return max((finding.severity for finding in findings), default=Severity.OK)
