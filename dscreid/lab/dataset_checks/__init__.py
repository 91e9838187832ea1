"""Dataset checks as functions of indexes, paths and file headers, and the findings that they return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """Severity of a finding, in ascending order."""

    OK = 0
    INFO = 1
    WARNING = 2
    BROKEN = 3


@dataclass(frozen=True)
class Finding:
    """One result of a check."""

    check: str  # name of the check, for example 'frames'
    subject: str  # the checked object, for example 'hitsz_vcm train'
    severity: Severity  # BROKEN if a run would stop or go wrong, WARNING if results may suffer
    message: str  # the result in one sentence
    remedy: str = ''  # how to fix it; empty if there is nothing to fix
    details: tuple[str, ...] = ()  # individual cases, such as paths


def warn_if(
    problems: Sequence[str], check: str, subject: str, message: str, remedy: str, details: tuple[str, ...] = ()
) -> Finding:
    """Return a warning whose message ends in the problems, or an OK finding without a remedy if there are none."""
    severity, text = Severity.WARNING if problems else Severity.OK, '; '.join(filter(None, (message, *problems)))
    return Finding(check, subject, severity, text, remedy if problems else '', details)


def counted(counts: Mapping[str, int]) -> list[str]:
    """Format the counts above 0: ``{'frames are bad': 3}`` → ``['3 frames are bad']``."""
    return [f'{count:,} {what}' for what, count in counts.items() if count]
