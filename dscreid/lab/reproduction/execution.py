"""Execute a job from its start to its run card."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dscreid.errors import ConfigError
from dscreid.lab.reproduction.identity import code_fingerprint, git_revision
from dscreid.lab.reproduction.jobs import METRICS_FILE, Job
from dscreid.lab.reproduction.process import Outcome, Process, lock_folder, log_of
from dscreid.lab.reproduction.records import State, begin_attempt, end_attempt, inspect_job, write_card
from dscreid.utils.records import is_finite_number, is_number, read_json_object

_POLL_SECONDS = 0.5


class Execution:
    """A running job.

    Args:
        job: The job. This process must hold the lock of its folder (see ``lock_folder``).
        lock: The locked file.
        environment: Environment variables in addition to the job's own, such as the process's share of the cores.
        accept_revision: Whether to run a job that was planned with other code.

    Raises:
        ConfigError: If the code has changed since the job was planned.
    """

    def __init__(
        self, job: Job, lock: Any, environment: Mapping[str, str], accept_revision: bool = False
    ) -> None:
        if job.world is None:
            job = _under_present_code(job, accept_revision)
            begin_attempt(job)
        log = log_of(job)
        log.parent.mkdir(parents=True, exist_ok=True)
        # Read at each start, because new code may be committed while a long command runs.
        self._git = git_revision()
        self.job = job
        self._process = Process(job.command, {**environment, **job.environment}, log, lock)

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return self._process.seconds

    def poll(self, describe_environment: Callable[[], Mapping[str, str]]) -> Outcome | None:
        """Return the outcome, or None while the process runs. The run card is written first.

        Args:
            describe_environment: Returns versions and machine for the run card.
        """
        outcome = self._process.poll()
        if outcome is None or self.job.world is not None:
            return outcome
        end_attempt(self.job, outcome.seconds, outcome.exit_code)
        if outcome.exit_code != 0:
            return outcome
        if missing := [name for name in self.job.outputs if not (self.job.folder / name).is_file()]:
            with log_of(self.job).open('a', encoding='utf-8') as log:
                log.write(f'error: the process ended well but left no {missing[0]}\n')
            return replace(outcome, exit_code=1)
        write_card(
            self.job,
            dict(
                peak_memory_mib=outcome.peak_memory_mib,
                peak_gpu_memory_mib=peak_gpu_memory(self.job.folder),
                git=self._git,
                environment=dict(describe_environment()),
                metrics=read_metrics_of(self.job.folder),
            ),
        )
        return outcome

    def stop(self) -> None:
        """Stop the process."""
        self._process.stop()


def execute(
    job: Job, describe_environment: Callable[[], Mapping[str, str]], accept_revision: bool = False
) -> None:
    """Run one job and wait for it. A finished job is not repeated.

    Args:
        job: The job. Its dependencies must be finished.
        describe_environment: Returns versions and machine for the run card.
        accept_revision: See ``inspect_job``.

    Raises:
        ConfigError: If the job cannot be started or fails. The message names its log file.
    """
    lock = lock_folder(job)
    if lock is None:
        raise ConfigError(f'{job.name}: another process works in {job.folder}; wait for it, or end it')
    found = inspect_job(job, accept_revision)
    if found.state is State.FINISHED:
        return
    if found.state is State.STALE:
        raise ConfigError(f'{job.folder} was made differently: {", ".join(found.reasons)}')
    execution = Execution(job, lock, {}, accept_revision)
    try:
        while (outcome := execution.poll(describe_environment)) is None:
            time.sleep(_POLL_SECONDS)
    except BaseException:
        execution.stop()
        raise
    if outcome.exit_code != 0:
        raise ConfigError(f'{job.name} failed: {last_words(job)} ({log_of(job)})')


def read_metrics_of(folder: Path) -> dict[str, float]:
    """Read the numbers of a run's metrics file and ignore its notes.

    Raises:
        CheckpointError: If the file is damaged.
    """
    content = read_json_object(folder / METRICS_FILE, 'file of metrics', 'run it again')
    return {key: value for key, value in content.items() if is_number(value)}


def peak_gpu_memory(folder: Path) -> float | None:
    """Return the peak GPU memory in MiB that MMEngine logged in the run's trainings. None without a GPU."""
    peaks = [
        record['memory']
        for path in folder.glob('*/vis_data/scalars.json')
        for record in _records(path)
        if is_finite_number(record.get('memory'))
    ]
    return max(peaks, default=None)


def last_words(job: Job) -> str:
    """Return the most informative line of a failed job's log: its last error, otherwise its last line."""
    try:
        text = log_of(job).read_text(encoding='utf-8', errors='replace')
    except OSError:
        return 'it left no log'
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith('error: ')]
    return (errors or lines or ['it left an empty log'])[-1].removeprefix('error: ')[:300]


def _records(path: Path) -> list[dict]:
    records = []
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the last line of a killed run
        if isinstance(record, dict):
            records.append(record)
    return records


def _under_present_code(job: Job, accept_revision: bool) -> Job:
    code = code_fingerprint()
    if code == job.identity['code']:
        return job
    if not accept_revision:
        raise ConfigError(
            f'{job.name}: the code was changed since this run was planned; start the command again, or let it mix '
            'revisions with --accept-revision'
        )
    return replace(job, identity=dict(job.identity, code=code))
