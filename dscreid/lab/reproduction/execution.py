"""Execute jobs on this machine: at most one process per folder, killed together with its parent."""

import contextlib
import ctypes
import fcntl
import functools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TextIO

from dscreid.apis.run_folder import METRICS_FILE
from dscreid.errors import CheckpointError, ConfigError, DscreidError
from dscreid.lab.reproduction.identity import code_fingerprint, git_revision
from dscreid.lab.reproduction.jobs import Job, JobStatus, Phase, begin_attempt, end_attempt, is_finished, stale_reasons
from dscreid.utils.machine import usable_cores
from dscreid.utils.records import is_finite_number
from dscreid.visualization import collect_environment, read_scalars
from dscreid.visualization.sources import read_evaluation, read_rankings

_PR_SET_PDEATHSIG = 1
_TERMINATION_GRACE = 10.0
#: Regular expression of the logged keys that a run card keeps.
_CURVES = r'labels/.*|criteria/.*|mean/mAP'
_environment_of_this_machine = functools.cache(collect_environment)


class Execution:
    """The process of a running job. It holds the lock of the job's folder even if its parent is killed."""

    def __init__(self, job: Job, lock: IO, environment: Mapping[str, str]) -> None:
        self._job, self._lock, self._start = job, lock, time.monotonic()
        # read at each start, because new code may be committed while a long command runs
        self._git = git_revision()
        self._card = begin_attempt(job) if job.world is None else None
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open('ab') as output:
            self._process = subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment, **job.environment},
                pass_fds=(lock.fileno(),),
                # Ctrl-C in the terminal reaches only the parent, which then stops its processes
                start_new_session=True,
                preexec_fn=functools.partial(die_with, os.getpid()),
            )

    def poll(self) -> JobStatus | None:
        """Return the status of a process that has ended, after writing its run card. None while it runs."""
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        if pid == 0:
            return None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - self._start
        try:
            self._finish(seconds, usage.ru_maxrss)
        except (DscreidError, OSError, ValueError) as error:  # unreadable results, or a full disk
            return JobStatus(Phase.FAILED, seconds, f'{error} ({self._job.log})')
        finally:
            self._lock.close()
        return JobStatus(Phase.FINISHED, seconds)

    def stop(self) -> None:
        """Stop the process and its children: SIGTERM first, then SIGKILL."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended
                    os.killpg(self._process.pid, kind)
            end = time.monotonic() + _TERMINATION_GRACE
            while self._process.returncode is None and time.monotonic() < end:
                self.poll()
                time.sleep(0.02)

    def _finish(self, seconds: float, maxrss: int) -> None:
        job, failure = self._job, ''
        if self._process.returncode != 0:
            failure = last_words(job)
        elif job.missing:
            failure = f'the process ended without an error but left no {job.missing[0]}'
        if self._card is not None and failure:
            end_attempt(job, self._card, seconds)
        elif self._card is not None:
            end_attempt(
                job,
                self._card,
                seconds,
                # Linux counts in KiB, macOS in bytes
                peak_memory_mib=round(maxrss / (1024**2 if sys.platform == 'darwin' else 1024), 1),
                peak_gpu_memory_mib=peak_gpu_memory(job.folder),
                git=self._git,
                environment=dict(_environment_of_this_machine()),
                metrics=read_evaluation(job.folder / METRICS_FILE)[0],
                rankings=read_rankings(job.folder / METRICS_FILE),
                curves=epoch_curves(job.folder),
            )
        if failure:
            raise ConfigError(failure)


def start(job: Job, environment: Mapping[str, str], accept_revision: bool = False) -> Execution | JobStatus:
    """Start a job whose dependencies are finished, or return its status if nothing was started.

    It is still waiting if another process works in its folder. ``accept_revision`` runs a job that was planned with
    other code, and accepts such results.
    """
    lock = lock_folder(job)
    if lock is None:
        return JobStatus(Phase.WAITING, note='another process runs it')
    try:
        # another process may have worked on it since the jobs were selected
        if reasons := stale_reasons(job, accept_revision):
            raise ConfigError(f'{job.folder} was made differently meanwhile: {", ".join(reasons)}')
        if not is_finished(job):
            return Execution(_with_present_code(job, accept_revision), lock, environment)
        status = JobStatus(Phase.TAKEN)
    except (DscreidError, OSError) as error:
        status = JobStatus(Phase.FAILED, note=str(error))
    lock.close()
    return status


def lock_folder(job: Job) -> IO | None:
    """Lock a job's folder, or return None if another process works in it. The lock file is beside the folder."""
    path = job.folder.parent / '.locks' / f'{job.folder.name}.lock'
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open('a')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent, a process id, ends for any reason (Linux only)."""
    if sys.platform != 'linux':
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before prctl took effect
        os._exit(1)


def peak_gpu_memory(folder: Path) -> float | None:
    """Return the peak GPU memory in MiB that MMEngine logged in the run's trainings. None without a GPU."""
    peaks: list[float] = []
    for path in folder.glob('*/vis_data/scalars.json'):
        with contextlib.suppress(CheckpointError):  # the last line of a killed run is not complete
            peaks += list(read_scalars(path).series.get('memory', ((), ()))[1])
    return max(filter(is_finite_number, peaks), default=None)


def epoch_curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Return what a run logged by epoch, as (epoch, value): quality of the labels, label-free criteria and mAP."""
    with contextlib.suppress(CheckpointError):  # the last line of a killed run is not complete
        series = read_scalars(*sorted(folder.glob('*/vis_data/scalars.json'))).series
        chosen = {key: points for key, points in series.items() if re.fullmatch(_CURVES, key)}
        return {key: list(zip(*(part.tolist() for part in points), strict=True)) for key, points in chosen.items()}
    return {}


def last_words(job: Job) -> str:
    """Return the last error in a failed job's log, otherwise its last line."""
    lines = [line.strip() for line in job.log.read_text(encoding='utf-8', errors='replace').splitlines()]
    errors = [line for line in lines if line.startswith('error: ')]
    return (errors or list(filter(None, lines)) or ['it left an empty log'])[-1].removeprefix('error: ')[:300]


def _with_present_code(job: Job, accept_revision: bool) -> Job:
    if job.world is not None or (code := code_fingerprint()) == job.identity['code']:
        return job
    if not accept_revision:
        raise ConfigError('the code has changed since this run was planned; start it again, or add --accept-revision')
    return replace(job, identity={**job.identity, 'code': code})


def run_jobs(
    jobs: Sequence[Job],
    slots: int = 1,
    accept_revision: bool = False,
    stream: TextIO | None = None,
    pause: Callable[[], None] = lambda: time.sleep(0.2),
) -> dict[str, JobStatus]:
    """Run jobs, dependencies first, until each is finished, has failed, or is skipped because a dependency failed.

    ``slots`` parallel jobs share the processor cores, and each has one GPU. Each change is a line on ``stream``;
    ``pause`` is called between two looks at the jobs. Returns the status of each job by name.
    """
    statuses = {job.name: JobStatus(Phase.WAITING) for job in jobs}
    running: dict[str, tuple[Execution, str]] = {}
    gpus = visible_gpus()

    def report(name: str, status: JobStatus) -> None:
        if status != statuses[name]:
            statuses[name] = status
            print(f'{name}: {status}', file=stream or sys.stderr, flush=True)

    def consider(job: Job) -> None:
        needed = {name: statuses[name] for name in job.dependencies if name in statuses}
        if lost := [name for name, status in needed.items() if status.lost]:
            report(job.name, JobStatus(Phase.SKIPPED, note=f'it needs {lost[0]}'))
        elif all(status.done for status in needed.values()) and len(running) < slots:
            used = [gpu for _, gpu in running.values()]
            gpu = min(gpus, key=used.count) if len(gpus) > 1 else ''
            shares = {'CUDA_VISIBLE_DEVICES': gpu} if gpu else {}
            if 'OMP_NUM_THREADS' not in os.environ:
                shares['OMP_NUM_THREADS'] = str(max(1, usable_cores() // slots))
            started = start(job, shares, accept_revision)
            if isinstance(started, Execution):
                running[job.name] = (started, gpu)
                started = JobStatus(Phase.RUNNING, note=str(job.log))
            report(job.name, started)

    try:
        while not all(status.done or status.lost for status in statuses.values()):
            for name, (execution, _) in list(running.items()):
                if ended := execution.poll():
                    del running[name]
                    report(name, ended)
            for job in jobs:
                if statuses[job.name].phase is Phase.WAITING:
                    consider(job)
            pause()
    finally:
        for execution, _ in running.values():
            execution.stop()
    return statuses


def execute(job: Job, accept_revision: bool = False) -> None:
    """Run one job and wait for it, unless it is finished; raise a ConfigError if it fails."""
    status = run_jobs([job], accept_revision=accept_revision)[job.name]
    if not status.done:
        raise ConfigError(f'{job.name}: {status.phase.value}: {status.note}')


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if (named := os.environ.get('CUDA_VISIBLE_DEVICES')) is not None:
        return [gpu.strip() for gpu in named.split(',') if gpu.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
