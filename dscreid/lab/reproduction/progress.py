"""Progress of all jobs: a live table in a terminal, otherwise one line per change."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from dscreid.engine.checkpoint_files import POINTER
from dscreid.lab.reproduction.jobs import Job
from dscreid.utils.quantities import duration_text


class Phase(Enum):
    """State of a job in this command, as printed. The live table shows jobs in this order."""

    RUNNING = 'running'
    ELSEWHERE = 'running elsewhere'
    FAILED = 'failed'
    SKIPPED = 'skipped'
    WAITING = 'waiting'
    FINISHED = 'finished'
    TAKEN = 'finished before'


_COLORS = dict(zip(Phase, ('cyan', 'cyan', 'red', 'yellow', 'dim', 'green', 'green'), strict=True))


@dataclass(frozen=True)
class JobStatus:
    """One line of the table: a job's state, its wall time so far (None if unknown), and a note on a failure."""

    phase: Phase
    seconds: float | None = None
    note: str = ''

    @property
    def done(self) -> bool:
        """Whether the results are there."""
        return self.phase in (Phase.FINISHED, Phase.TAKEN)

    @property
    def lost(self) -> bool:
        """Whether there will be no results."""
        return self.phase in (Phase.FAILED, Phase.SKIPPED)

    @property
    def time(self) -> str:
        """The wall time as text. Empty if unknown."""
        return '' if self.seconds is None else duration_text(self.seconds)


class ProgressTable:
    """Context manager that shows ``statuses``, which the caller updates, on ``stream`` (by default standard error)."""

    def __init__(self, jobs: Sequence[Job], statuses: Mapping[str, JobStatus], stream: TextIO | None = None) -> None:
        self._jobs, self._statuses, self._stream = jobs, statuses, stream or sys.stderr
        console = Console(file=self._stream)
        self._live = Live(console=console, get_renderable=self.table, refresh_per_second=1)
        self._is_live = console.is_terminal
        self._shown = dict.fromkeys(statuses, Phase.WAITING)

    def __enter__(self) -> 'ProgressTable':
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._live.stop()

    def update(self) -> None:
        """Print a line for each job whose phase changed, if there is no live table."""
        for name, status in self._statuses.items():
            if self._shown[name] is not status.phase and not self._is_live:
                self._shown[name] = status.phase
                time = '' if status.phase is Phase.RUNNING else status.time
                details = '; '.join(filter(None, (time, status.note)))
                line = f'{name}: {status.phase.value}' + (f' ({details})' if details else '')
                print(line, file=self._stream, flush=True)

    def table(self) -> Table:
        """Return the table, active jobs first: a short terminal cuts off its end."""
        table = Table('run', 'state', 'epoch', 'time', 'note', box=None, pad_edge=False)
        done = sum(status.done for status in self._statuses.values())
        table.title = f'{done} of {len(self._jobs)} finished'
        for job in sorted(self._jobs, key=lambda job: list(Phase).index(self._statuses[job.name].phase)):
            status = self._statuses[job.name]
            epoch = epoch_of(job) if status.phase in (Phase.RUNNING, Phase.ELSEWHERE) else ''
            state = f'[{_COLORS[status.phase]}]{status.phase.value}[/]'
            table.add_row(job.name, state, epoch, status.time, escape(status.note))
        return table


def epoch_of(job: Job) -> str:
    """Format the progress of a training by its last checkpoint, such as ``3/6``. Empty if unknown."""
    pointer = job.folder / POINTER
    epoch = pointer.is_file() and re.search(rb'epoch_(\d+)\.pth', pointer.read_bytes())
    return f'{int(epoch[1])}/{job.max_epochs}' if epoch and job.max_epochs else ''
