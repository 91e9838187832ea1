"""Submit jobs to Slurm with submitit, with their dependencies."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dscreid.errors import ConfigError
from dscreid.lab.reproduction.execution import execute
from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.reproduction.progress import JobStatus, Phase


def parse_options(words: Sequence[str]) -> dict[str, str]:
    """Parse ``PARTITION KEY=VALUE …`` to options of ``sbatch`` by name; raise a ConfigError for a malformed pair."""
    options = {'partition': words[0]}
    for pair in words[1:]:
        name, _, value = pair.partition('=')
        if not (name and value) or name.startswith('-'):
            raise ConfigError(f'--slurm: {pair!r} is not KEY=VALUE, such as gres=gpu:1 or time=24:00:00')
        options[name] = value
    return options


def submit(
    jobs: Sequence[Job],
    taken: Sequence[Job],
    folder: Path,
    options: Mapping[str, str],
    accept_revision: bool = False,
) -> dict[str, JobStatus]:
    """Submit jobs, except those from an earlier command that are still in the queue; return their statuses by name.

    Args:
        jobs: Jobs to submit, dependencies first.
        taken: Jobs that were already finished.
        folder: Folder of submitit's files. Submitted jobs unpickle them, so only their owner may write there.
        options: Options of ``sbatch`` by name.
        accept_revision: Passed on to the jobs.

    Raises:
        ConfigError: If Slurm is missing or refuses a job.
    """
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    statuses = {job.name: JobStatus(Phase.TAKEN) for job in taken}
    numbers: dict[str, str] = {}
    for job in jobs:
        record = folder / f'{job.name}.number'
        number = _queued(record)
        note = 'still in the queue'
        if number is None:
            settings = dict(options)
            if after := [numbers[name] for name in job.dependencies if name in numbers]:
                settings |= {'dependency': f'afterok:{":".join(after)}', 'kill-on-invalid-dep': 'yes'}
            try:
                executor = submitit.SlurmExecutor(folder)
                # none of submitit's defaults: a time limit of 5 minutes, an accounting key, and srun
                executor.update_parameters(
                    job_name=job.name, additional_parameters=settings, time=None, wckey=None, use_srun=False
                )
                number = executor.submit(execute, job, accept_revision).job_id
            except (FailedJobError, FailedSubmissionError) as error:
                raise ConfigError(f'Slurm refused {job.name}: {" ".join(str(error).split())}') from error
            except (RuntimeError, FileNotFoundError) as error:
                raise ConfigError('srun and sbatch are not on the PATH; omit --slurm to run on this machine') from error
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(number, encoding='utf-8')
            note = 'submitted'
        numbers[job.name] = number
        statuses[job.name] = JobStatus(Phase.WAITING, note=f'{note} as job {number}')
        print(f'{job.name}: {note} as job {number}', file=sys.stderr, flush=True)
    return statuses


def _queued(record: Path) -> str | None:
    """Return the number of a submitted job that still waits or runs. None if Slurm does not know it."""
    try:
        number = record.read_text(encoding='utf-8').strip()
        done = subprocess.run(['squeue', '--noheader', '--jobs', number], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return number if done.returncode == 0 and done.stdout.strip() else None
