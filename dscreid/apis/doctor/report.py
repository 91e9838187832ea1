"""The doctor's findings as a table and as plain values."""

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dscreid.apis.doctor.diagnosis import Diagnosis
from dscreid.datasets.doctor import Finding, Severity

_COLOURS = {
    Severity.OK: 'green',
    Severity.INFO: 'cyan',
    Severity.WARNING: 'yellow',
    Severity.BROKEN: 'bold red',
}
_VERDICTS = {
    Severity.OK: 'healthy',
    Severity.INFO: 'healthy',
    Severity.WARNING: 'warnings',
    Severity.BROKEN: 'broken',
}


def diagnosis_table(diagnosis: Diagnosis, details: int = 5) -> Group:
    """Findings as a table, with the verdict below.

    Args:
        diagnosis: What was found.
        details: How many single cases to show of each finding.
    """
    table = Table(
        'check',
        'of',
        'state',
        'finding',
        title=f'doctor: {diagnosis.config}',
        title_justify='left',
        box=box.SIMPLE_HEAD,
    )
    for finding in diagnosis.findings:
        state = Text(finding.severity.name.lower(), style=_COLOURS[finding.severity])
        table.add_row(finding.check, Text(finding.subject), state, Text(_explain(finding, details)))
    counts = [sum(f.severity is s for f in diagnosis.findings) for s in (Severity.BROKEN, Severity.WARNING)]
    verdict = Text(
        f'{verdict_of(diagnosis)}: {counts[0]} broken, {counts[1]} warnings',
        style=_COLOURS[diagnosis.severity],
    )
    return Group(table, verdict)


def verdict_of(diagnosis: Diagnosis) -> str:
    """``'healthy'``, ``'warnings'`` or ``'broken'``."""
    return _VERDICTS[diagnosis.severity]


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as plain values: ``config``, ``verdict`` and ``findings`` with all details."""
    return dict(
        config=diagnosis.config,
        verdict=verdict_of(diagnosis),
        findings=[
            dict(
                check=f.check,
                subject=f.subject,
                severity=f.severity.name.lower(),
                message=f.message,
                remedy=f.remedy,
                details=list(f.details),
                values=f.values,
            )
            for f in diagnosis.findings
        ],
    )


def _explain(finding: Finding, details: int) -> str:
    lines = [finding.message]
    if finding.remedy:
        lines.append(f'→ {finding.remedy}')
    lines += [f'  {detail}' for detail in finding.details[:details]]
    if len(finding.details) > details:
        lines.append(f'  … and {len(finding.details) - details:,} more (--json lists all)')
    return '\n'.join(lines)
