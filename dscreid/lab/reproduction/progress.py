"""Progress of all jobs: a live table in a terminal, otherwise one line per change."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from dscreid.lab.reproduction.jobs import Job
from dscreid.visualization import format_duration

_TAIL_BYTES = 4096
#: Title, header and cursor line.
_OTHER_LINES = 4


class Phase(Enum):
    """State of a job in this command. The value is shown in the table."""

    TAKEN = 'finished before'
    WAITING = 'waiting'
    RUNNING = 'running'
    ELSEWHERE = 'running elsewhere'
    FINISHED = 'finished'
    FAILED = 'failed'
    SKIPPED = 'skipped'


#: Order of priority for the jobs shown in a short terminal.
_INTEREST = (
    Phase.RUNNING,
    Phase.ELSEWHERE,
    Phase.FAILED,
    Phase.SKIPPED,
    Phase.WAITING,
    Phase.FINISHED,
    Phase.TAKEN,
)
_COLOURS = {
    Phase.RUNNING: 'cyan',
    Phase.ELSEWHERE: 'cyan',
    Phase.FINISHED: 'green',
    Phase.TAKEN: 'green',
    Phase.FAILED: 'red',
    Phase.SKIPPED: 'yellow',
}


@dataclass(frozen=True)
class JobStatus:
    """One line of the table.

    Attributes:
        phase: State of the job.
        seconds: Wall time so far or in total. None if unknown.
        note: Additional information, such as why the job failed.
    """

    phase: Phase
    seconds: float | None = None
    note: str = ''


class ProgressTable:
    """Context manager that shows the status of all jobs.

    Args:
        jobs: Jobs in the order of the table.
        read: Returns the current status of each job by name.
        stream: Where to print. Standard error by default.
    """

    def __init__(
        self, jobs: Sequence[Job], read: Callable[[], Mapping[str, JobStatus]], stream: TextIO | None = None
    ) -> None:
        self._jobs, self._read, self._stream = jobs, read, stream or sys.stderr
        console = Console(file=self._stream)
        self._height = console.height
        self._live = None
        if console.is_terminal:
            self._live = Live(console=console, get_renderable=self._table, refresh_per_second=1)
        self._shown: dict[str, Phase] = {}

    def __enter__(self) -> 'ProgressTable':
        """Show the table."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *details) -> None:
        """Stop updating the table."""
        if self._live:
            self._live.stop()

    def update(self) -> None:
        """Print a line for each job whose phase changed, if there is no live table."""
        if self._live:
            return
        for name, status in self._read().items():
            if self._shown.get(name, Phase.WAITING) is not status.phase:
                self._shown[name] = status.phase
                print(_line(name, status), file=self._stream, flush=True)

    def _table(self) -> Table:
        statuses = self._read()
        table = Table('run', 'state', 'epoch', 'time', 'note', box=None, pad_edge=False)
        done = sum(status.phase in (Phase.FINISHED, Phase.TAKEN) for status in statuses.values())
        table.title = f'{done} of {len(self._jobs)} finished'
        for job in self._shown_jobs(statuses):
            status = statuses[job.name]
            seconds = '' if status.seconds is None else format_duration(status.seconds)
            epoch = epoch_of(job) if status.phase in (Phase.RUNNING, Phase.ELSEWHERE) else ''
            state = f'[{_COLOURS.get(status.phase, "dim")}]{status.phase.value}[/]'
            table.add_row(job.name, state, epoch, seconds, _plain(status.note))
        return table

    def _shown_jobs(self, statuses: Mapping[str, JobStatus]) -> list[Job]:
        """Return as many jobs as the terminal has lines for, active ones first."""
        room = max(self._height - _OTHER_LINES, 1)
        if len(self._jobs) <= room:
            return list(self._jobs)
        by_interest = sorted(self._jobs, key=lambda job: _INTEREST.index(statuses[job.name].phase))
        chosen = {job.name for job in by_interest[:room]}
        return [job for job in self._jobs if job.name in chosen]


def epoch_of(job: Job) -> str:
    """Format the progress of a training, such as ``3/6``. Empty if unknown."""
    if not job.max_epochs:
        return ''
    logs = list(job.folder.glob('*/vis_data/scalars.json'))
    if not logs:
        return ''
    epoch = _last_epoch(max(logs, key=lambda path: path.stat().st_mtime))
    return f'{epoch}/{job.max_epochs}' if epoch else ''


def _last_epoch(path: Path) -> int | None:
    """Return the last epoch in MMEngine's log."""
    with path.open('rb') as file:
        file.seek(max(os.fstat(file.fileno()).st_size - _TAIL_BYTES, 0))
        lines = file.read().decode('utf-8', 'replace').splitlines()
    for line in reversed(lines):
        try:
            epoch = json.loads(line).get('epoch')
        except (ValueError, AttributeError):
            continue  # truncated, or still being written
        if epoch is not None:
            return int(epoch)
    return None


def _line(name: str, status: JobStatus) -> str:
    time = '' if status.seconds is None or status.phase is Phase.RUNNING else format_duration(status.seconds)
    details = '; '.join(detail for detail in (time, status.note) if detail)
    return f'{name}: {status.phase.value}' + (f' ({details})' if details else '')


def _plain(text: str) -> str:
    """Escape text so that rich prints it literally."""
    return text.replace('[', r'\[')
