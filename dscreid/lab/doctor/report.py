"""Format the doctor's findings as text, as a table and as plain values."""

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.diagnosis import Diagnosis

#: Color and verdict of each severity.
_COLORS = dict(zip(Severity, ('green', 'cyan', 'yellow', 'bold red'), strict=True))
_VERDICTS = dict(zip(Severity, ('healthy', 'healthy', 'warnings', 'broken'), strict=True))


def finding_text(finding: Finding, details: int = 5) -> Text:
    """Format a finding as it is printed during the checks: its state, followed by problem and remedy."""
    state = (f'{finding.severity.name.lower():8}', _COLORS[finding.severity])
    lines = [f'{finding.check}, {finding.subject}: {finding.message}']
    lines += [f'what to do: {finding.remedy}'] if finding.remedy else []
    lines += [f'- {detail}' for detail in finding.details[:details]]
    if len(finding.details) > details:
        lines.append(f'- and {len(finding.details) - details:,} more (--json lists all)')
    return Text.assemble(state, f'\n{"":8}'.join(lines))


def summary_table(diagnosis: Diagnosis) -> Group:
    """Summarize the problems, the number of findings by severity, and the verdict."""
    table = Table('check', 'of', 'state', 'what to do', box=box.SIMPLE_HEAD)
    table.title, table.title_justify = f'doctor: {diagnosis.config}', 'left'
    for finding in diagnosis.findings:
        if finding.severity >= Severity.WARNING:
            state = Text(finding.severity.name.lower(), style=_COLORS[finding.severity])
            remedy = Text(finding.remedy or finding.message)
            table.add_row(finding.check, Text(finding.subject), state, remedy)
    counts = {s: sum(f.severity is s for f in diagnosis.findings) for s in Severity}
    verdict = Text(
        f'{_VERDICTS[diagnosis.severity]}: {counts[Severity.BROKEN]} broken, {counts[Severity.WARNING]} warnings, '
        f'{counts[Severity.OK] + counts[Severity.INFO]} without problems',
        style=_COLORS[diagnosis.severity],
    )
    return Group(*([table] if table.row_count else []), verdict)


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Convert a diagnosis to plain values: ``config``, ``complete``, ``verdict`` and ``findings`` with all details."""
    return dict(
        config=diagnosis.config,
        complete=diagnosis.complete,
        verdict=_VERDICTS[diagnosis.severity],
        findings=[vars(f) | {'severity': f.severity.name.lower()} for f in diagnosis.findings],
    )
