"""Submit jobs to Slurm, with their dependencies."""

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dscreid.errors import ConfigError
from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.reproduction.progress import JobStatus, Phase
from dscreid.utils.shipped import shipped_tools


@dataclass(frozen=True)
class SlurmOptions:
    """How jobs are submitted.

    Attributes:
        partition: Slurm partition.
        settings: Other options of ``sbatch`` by name, such as ``{'gres': 'gpu:1', 'time': '24:00:00'}``.
    """

    partition: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, words: Sequence[str]) -> 'SlurmOptions':
        """Parse options of the form ``PARTITION KEY=VALUE …``.

        Raises:
            ConfigError: If a word after the partition is not a KEY=VALUE pair.
        """
        partition, *pairs = words
        for pair in pairs:
            name, separator, value = pair.partition('=')
            if not (name and separator and value) or name.startswith('-'):
                raise ConfigError(f'--slurm: {pair!r} is not KEY=VALUE, such as gres=gpu:1 or time=24:00:00')
        return cls(partition, dict(pair.split('=', 1) for pair in pairs))


def submit(
    jobs: Sequence[Job], taken: Sequence[Job], options: SlurmOptions, accept_revision: bool = False
) -> dict[str, JobStatus]:
    """Submit jobs, except those from an earlier command that are still waiting or running.

    Args:
        jobs: Jobs to submit, dependencies first.
        taken: Jobs that were already finished.
        options: Partition and settings.
        accept_revision: Passed on to the jobs.

    Returns:
        Status of each job by name.

    Raises:
        ConfigError: If ``sbatch`` is missing or refuses a job.
    """
    statuses = {job.name: JobStatus(Phase.TAKEN) for job in taken}
    numbers: dict[str, str] = {}
    for job in jobs:
        number = _queued_number(job)
        if number is None:
            after = [numbers[name] for name in job.dependencies if name in numbers]
            number = _sbatch(_write_script(job, options, accept_revision), after)
            _number_file(job).write_text(number + '\n', encoding='utf-8')
            note = f'submitted as job {number}'
        else:
            note = f'still in the queue as job {number}'
        numbers[job.name] = number
        statuses[job.name] = JobStatus(Phase.WAITING, note=note)
        print(f'{job.name}: {note}', file=sys.stderr, flush=True)
    return statuses


def _write_script(job: Job, options: SlurmOptions, accept_revision: bool) -> Path:
    """Write the job and the script that runs it next to the job's folder."""
    folder = _number_file(job).parent
    folder.mkdir(parents=True, exist_ok=True)
    description = folder / f'{job.folder.name}.json'
    description.write_text(job.to_json(), encoding='utf-8')
    settings = {
        'job-name': job.name,
        'partition': options.partition,
        'output': folder / f'{job.folder.name}.out',
    }
    command = [sys.executable, str(shipped_tools() / 'reproduce.py'), 'execute', str(description)]
    command += ['--accept-revision'] if accept_revision else []
    lines = [
        '#!/bin/bash',
        *(f'#SBATCH --{name}={value}' for name, value in (settings | dict(options.settings)).items()),
    ]
    # relative paths in configs, such as weights/, start here
    lines += [f'cd {shlex.quote(str(Path.cwd()))}', f'exec {shlex.join(command)}']
    script = folder / f'{job.folder.name}.sh'
    script.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return script


def _sbatch(script: Path, after: Sequence[str]) -> str:
    """Submit a script and return its Slurm job number."""
    command = ['sbatch', '--parsable']
    if after:
        command += [f'--dependency=afterok:{":".join(after)}', '--kill-on-invalid-dep=yes']
    try:
        done = subprocess.run([*command, str(script)], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ConfigError('sbatch is not on the PATH; leave --slurm out to run on this machine') from error
    except subprocess.CalledProcessError as error:
        raise ConfigError(f'sbatch refused {script}: {" ".join(error.stderr.split())}') from error
    return done.stdout.strip().partition(';')[0]  # "number;cluster" if there are several clusters


def _queued_number(job: Job) -> str | None:
    """Return the number of a submitted job that still waits or runs. None if Slurm does not know it."""
    try:
        number = _number_file(job).read_text(encoding='utf-8').strip()
        done = subprocess.run(['squeue', '--noheader', '--jobs', number], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return number if done.returncode == 0 and done.stdout.strip() else None


def _number_file(job: Job) -> Path:
    return job.folder.parent / '.slurm' / f'{job.folder.name}.number'
