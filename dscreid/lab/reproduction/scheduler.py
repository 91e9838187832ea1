"""Run jobs on this machine, several in parallel, each as soon as its dependencies are finished.

Submitit has a local executor, but its processes survive the command that started them, which would break the promise
that an interrupted command leaves nothing running. Therefore only Slurm jobs are submitted with it.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from dscreid.lab.reproduction.execution import Execution, start
from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.reproduction.progress import JobStatus, Phase, ProgressTable
from dscreid.utils.machine import usable_cores


class Scheduler:
    """Run jobs until each is finished, has failed, or is skipped because a dependency failed.

    Args:
        jobs: Jobs to run, dependencies first.
        taken: Jobs that were already finished, for the table.
        slots: Number of parallel jobs. They share the processor cores, and each has one GPU.
        accept_revision: See :func:`dscreid.lab.reproduction.execution.start`.
        stream: Where progress is printed. Standard error by default.
        pause: Called between two looks at the jobs.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        taken: Sequence[Job],
        slots: int,
        accept_revision: bool = False,
        stream: TextIO | None = None,
        pause: Callable[[], None] = lambda: time.sleep(0.2),
    ) -> None:
        self._jobs, self._slots, self._accept, self._pause = jobs, slots, accept_revision, pause
        self._gpus = visible_gpus()
        self._running: dict[str, tuple[Execution, str]] = {}
        self._statuses = {job.name: JobStatus(Phase.TAKEN) for job in taken}
        self._statuses |= {job.name: JobStatus(Phase.WAITING) for job in jobs}
        self._table = ProgressTable([*taken, *jobs], self._statuses, stream)

    def run(self) -> dict[str, JobStatus]:
        """Run all jobs and return the status of each by name."""
        try:
            with self._table:
                while not all(status.done or status.lost for status in self._statuses.values()):
                    self._step()
                    self._table.update()
                    self._pause()
        finally:
            for execution, _ in self._running.values():
                execution.stop()
        return self._statuses

    def _step(self) -> None:
        """Look at the running jobs and start those that can start."""
        for name, (execution, _) in list(self._running.items()):
            self._statuses[name] = execution.poll()
            if self._statuses[name].phase is not Phase.RUNNING:
                del self._running[name]
        for job in self._jobs:
            if self._statuses[job.name].phase in (Phase.WAITING, Phase.ELSEWHERE):
                self._consider(job)

    def _consider(self, job: Job) -> None:
        """Start a job if its dependencies are finished and a slot is free."""
        needed = {name: self._statuses[name] for name in job.dependencies if name in self._statuses}
        if lost := [name for name, status in needed.items() if status.lost]:
            self._statuses[job.name] = JobStatus(Phase.SKIPPED, note=f'it needs {lost[0]}')
        elif all(status.done for status in needed.values()) and len(self._running) < self._slots:
            gpu = self._free_gpu()
            started = start(job, self._shares(gpu), self._accept)
            if isinstance(started, Execution):
                self._running[job.name] = (started, gpu)
                started = JobStatus(Phase.RUNNING, 0.0)
            self._statuses[job.name] = started

    def _free_gpu(self) -> str:
        """Return the GPU that the fewest jobs use. Empty if there is no choice."""
        used = [gpu for _, gpu in self._running.values()]
        return min(self._gpus, key=used.count) if len(self._gpus) > 1 else ''

    def _shares(self, gpu: str) -> dict[str, str]:
        """Return the environment variables that give a process its GPU and its share of the cores."""
        shares = {'CUDA_VISIBLE_DEVICES': gpu} if gpu else {}
        if 'OMP_NUM_THREADS' not in os.environ:
            shares['OMP_NUM_THREADS'] = str(max(1, usable_cores() // self._slots))
        return shares


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if (named := os.environ.get('CUDA_VISIBLE_DEVICES')) is not None:
        return [gpu.strip() for gpu in named.split(',') if gpu.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
