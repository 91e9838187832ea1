"""Run jobs on this machine, several in parallel, each as soon as its dependencies are finished."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TextIO

from dscreid.errors import ConfigError, DscreidError
from dscreid.lab.reproduction.execution import Execution, last_words
from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.reproduction.process import lock_folder, log_of
from dscreid.lab.reproduction.progress import JobStatus, Phase, ProgressTable
from dscreid.lab.reproduction.records import State, inspect_job

_DONE = (Phase.FINISHED, Phase.TAKEN)
_LOST = (Phase.FAILED, Phase.SKIPPED)


class Scheduler:
    """Run jobs until each is finished, has failed, or is skipped because a dependency failed.

    Args:
        jobs: Jobs to run, dependencies first.
        taken: Jobs that were already finished, for the table.
        slots: Number of parallel jobs.
        describe_environment: Returns versions and machine for the run cards.
        environment: Environment variables of each process, such as its share of the cores.
        accept_revision: Whether to accept runs of other code revisions, see ``inspect_job``.
        poll_seconds: Polling interval in seconds.
        stream: Where progress is printed. Standard error by default.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        taken: Sequence[Job],
        slots: int,
        describe_environment: Callable[[], Mapping[str, str]],
        environment: Mapping[str, str],
        accept_revision: bool = False,
        poll_seconds: float = 0.2,
        stream: TextIO | None = None,
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._slots, self._describe, self._environment = slots, describe_environment, dict(environment)
        self._accept, self._poll_seconds = accept_revision, poll_seconds
        self._running: dict[str, Execution] = {}
        self.statuses = {job.name: JobStatus(Phase.TAKEN) for job in taken}
        self.statuses |= {job.name: JobStatus(Phase.WAITING) for job in jobs}
        self._table = ProgressTable([*taken, *jobs], self._read, stream)

    def run(self) -> dict[str, JobStatus]:
        """Run all jobs and return the status of each by name."""
        try:
            with self._table:
                while self._step():
                    self._table.update()
                    time.sleep(self._poll_seconds)
                self._table.update()
        finally:
            for execution in self._running.values():
                execution.stop()
        return self.statuses

    def _step(self) -> bool:
        """Check running jobs and start those that can start. Return whether anything is left to do."""
        self._collect()
        for name, job in self._jobs.items():
            if self.statuses[name].phase in (Phase.WAITING, Phase.ELSEWHERE):
                self._consider(job)
        open_phases = (Phase.WAITING, Phase.RUNNING, Phase.ELSEWHERE)
        return any(status.phase in open_phases for status in self.statuses.values())

    def _collect(self) -> None:
        for name, execution in list(self._running.items()):
            try:
                outcome = execution.poll(self._describe)
            except (
                DscreidError,
                OSError,
                ValueError,
            ) as error:  # unreadable results, or a full disk
                self._end(name, Phase.FAILED, execution.seconds, str(error))
                continue
            if outcome is not None:
                job, failed = self._jobs[name], outcome.exit_code != 0
                note = f'{last_words(job)} ({log_of(job)})' if failed else ''
                self._end(name, Phase.FAILED if failed else Phase.FINISHED, outcome.seconds, note)

    def _end(self, name: str, phase: Phase, seconds: float, note: str) -> None:
        del self._running[name]
        self.statuses[name] = JobStatus(phase, seconds, note)

    def _consider(self, job: Job) -> None:
        """Start a job if its dependencies are finished and a slot is free."""
        phases = {name: self.statuses[name].phase for name in job.dependencies if name in self.statuses}
        if lost := [name for name, phase in phases.items() if phase in _LOST]:
            self.statuses[job.name] = JobStatus(Phase.SKIPPED, note=f'it needs {lost[0]}')
        elif all(phase in _DONE for phase in phases.values()) and len(self._running) < self._slots:
            self._start(job)

    def _start(self, job: Job) -> None:
        lock = lock_folder(job)
        if lock is None:
            self.statuses[job.name] = JobStatus(Phase.ELSEWHERE)
            return
        try:
            self.statuses[job.name] = self._start_locked(job, lock)
        except (DscreidError, OSError) as error:
            self.statuses[job.name] = JobStatus(Phase.FAILED, note=str(error))
        if job.name not in self._running:
            lock.close()

    def _start_locked(self, job: Job, lock: IO) -> JobStatus:
        # another process may have worked on it since the jobs were selected
        found = inspect_job(job, self._accept)
        if found.state is State.FINISHED:
            return JobStatus(Phase.TAKEN)
        if found.state is State.STALE:
            raise ConfigError(f'{job.folder} was made differently meanwhile: {", ".join(found.reasons)}')
        self._running[job.name] = Execution(job, lock, self._environment, self._accept)
        return JobStatus(Phase.RUNNING, 0.0)

    def _read(self) -> dict[str, JobStatus]:
        """Return all statuses, with the current times of running jobs."""
        running = {name: JobStatus(Phase.RUNNING, run.seconds) for name, run in list(self._running.items())}
        return dict(self.statuses) | running
