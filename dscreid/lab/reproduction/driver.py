"""Run the missing parts of a table or figure, on this machine or as jobs of Slurm."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from dscreid.errors import ConfigError
from dscreid.lab.reproduction.costs import forecast
from dscreid.lab.reproduction.execution import execute, lock_folder, run_jobs, visible_gpus
from dscreid.lab.reproduction.experiments import ALL, Experiment, Row, choose_rows, find_experiments
from dscreid.lab.reproduction.identity import Identity
from dscreid.lab.reproduction.jobs import Job, JobStatus, Phase, finished_card, is_finished, remove_run, stale_reasons
from dscreid.lab.reproduction.planning import Plan, make_plan
from dscreid.lab.reproduction.presets import Place
from dscreid.utils.machine import usable_cores


@dataclass(frozen=True)
class ReproductionOptions:
    """What to run, where, and which existing runs to reuse."""

    experiment: str  # name of a table or figure, or 'all'
    place: Place  # where the runs are stored and what they are made with
    seeds: Sequence[int] = (1,)  # seeds of worlds and runs
    directions: Sequence[str] = ()  # adaptation directions; empty for the paper's directions
    rows: Sequence[str] = ()  # names or methods of the rows to run; empty for all rows
    jobs: int | None = None  # number of parallel processes; None for 1, or for 'all' one per GPU or core
    # options of sbatch to submit each job to Slurm; None runs the jobs on this machine
    slurm: Mapping[str, str] | None = None
    accept_revision: bool = False  # reuse and continue runs of other code revisions; tables that mix revisions say so
    rerun_stale: bool = False  # remove and repeat runs of other revisions, configs or data
    stream: TextIO | None = field(default=None, repr=False)  # where progress is printed; standard error by default


def reproduce(options: ReproductionOptions) -> dict[str, JobStatus]:
    """Run the missing parts of a table or figure, reuse the finished ones, and return the status of each job by name.

    The first line printed says how many runs there are, and how long they will take.

    Raises:
        DscreidError: For unknown names, missing configs or data, or results of another revision, config or data.
            Nothing has been started then. Failing runs do not raise.
    """
    jobs, taken = prepare(options)
    slots = _slots(options)
    print(
        forecast(jobs, len(taken), options.place, None if options.slurm else slots),
        file=options.stream or sys.stderr,
        flush=True,
    )
    statuses = {job.name: JobStatus(Phase.TAKEN) for job in taken}
    for name, status in statuses.items():
        print(f'{name}: {status}', file=options.stream or sys.stderr, flush=True)
    if options.slurm is not None:
        return statuses | _submit(jobs, options)
    return statuses | run_jobs(jobs, slots, options.accept_revision, options.stream)


def prepare(options: ReproductionOptions) -> tuple[list[Job], list[Job]]:
    """Return the jobs to run, dependencies first, and the rows' finished jobs. See :func:`reproduce` for errors."""
    rows: dict[str, list[Row]] = {}
    for experiment in find_experiments(options.experiment):
        for direction in options.directions or experiment.directions:
            rows.setdefault(direction, []).extend(_rows(experiment, options))
    plan = make_plan(options.place, rows, options.seeds)
    finished, stale = _inspect(plan, options.accept_revision)
    needed = plan.rows - finished
    for name in reversed(plan.jobs):  # dependencies come before
        if name in needed:
            needed.update(set(plan.jobs[name].dependencies) - finished)
    outdated = {name: reasons for name, reasons in stale.items() if name in needed}
    if outdated and not options.rerun_stale:
        raise ConfigError(_stale_message(outdated))
    for name in outdated:
        _remove_locked(plan.jobs[name])
    jobs = plan.jobs.values()
    return [job for job in jobs if job.name in needed], [job for job in jobs if job.name in plan.rows & finished]


def _rows(experiment: Experiment, options: ReproductionOptions) -> tuple[Row, ...]:
    if experiment.short_schedules and not options.place.preset.short_schedules:
        raise ConfigError(
            f'{experiment.name} trains for more epochs than the short schedules of rendered worlds do; the configs for '
            f'{options.place.preset.name} have those of the paper, so run table1 or table2'
        )
    if options.rows and options.experiment.lower() == ALL:
        raise ConfigError('--rows needs one table or figure; name it in the place of all')
    return choose_rows(experiment, options.rows)


def _slots(options: ReproductionOptions) -> int:
    """Return the number of parallel processes."""
    if options.jobs is not None:
        return options.jobs
    return (len(visible_gpus()) or usable_cores()) if options.experiment.lower() == ALL else 1


def _inspect(plan: Plan, accept_revision: bool) -> tuple[set[str], dict[str, list[str]]]:
    """Give the jobs of a plan the recorded identities of their finished sources.

    Returns:
        Names of the finished jobs, and name → reasons why a folder's content does not belong to its job.
    """
    recorded: dict[str, Identity] = {}
    finished, stale = set(), {}
    for name, job in plan.jobs.items():
        if known := {source.rpartition('/')[2]: recorded[source] for source in job.dependencies if source in recorded}:
            identity = {**job.identity, 'sources': {**job.identity['sources'], **known}}
            job = plan.jobs[name] = replace(job, identity=identity)
        if reasons := stale_reasons(job, accept_revision):
            stale[name] = reasons
        elif is_finished(job):
            finished.add(name)
            if card := finished_card(job.folder):
                recorded[name] = card['identity']
    return finished, stale


def parse_slurm_options(words: Sequence[str]) -> dict[str, str]:
    """Parse ``PARTITION KEY=VALUE …`` to options of ``sbatch`` by name; raise a ConfigError for a malformed pair."""
    options = {'partition': words[0]}
    for pair in words[1:]:
        name, _, value = pair.partition('=')
        if not (name and value) or name.startswith('-'):
            raise ConfigError(f'--slurm: {pair!r} is not KEY=VALUE, such as gres=gpu:1 or time=24:00:00')
        options[name] = value
    return options


def _remove_locked(job: Job) -> None:
    lock = lock_folder(job)
    if lock is None:
        raise ConfigError(f'{job.name}: another process works in {job.folder}; wait for it, or end it')
    with lock:
        remove_run(job)


def _stale_message(outdated: Mapping[str, Sequence[str]]) -> str:
    parts = [f'{name} ({", ".join(reasons)})' for name, reasons in outdated.items()]
    parts[6:] = [f'and {len(parts) - 6} more'] if len(parts) > 6 else []
    remedies = 'repeat them with --rerun-stale, which removes them, or choose another --out'
    if all(reason.startswith('another code revision') for reasons in outdated.values() for reason in reasons):
        remedies = f'use them as they are with --accept-revision, {remedies}'
    return f'some results were made differently and are not mixed in: {"; ".join(parts)}; {remedies}'


def _submit(jobs: Sequence[Job], options: ReproductionOptions) -> dict[str, JobStatus]:
    """Submit jobs to Slurm, except those that are still in its queue, and return their statuses by name.

    The jobs unpickle submitit's files in ``.slurm``, so only their owner may write there.
    """
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    numbers: dict[str, str] = {}
    statuses: dict[str, JobStatus] = {}
    folder = options.place.folder / '.slurm'
    for job in jobs:
        record = folder / f'{job.name}.number'
        number, note = _queued(record), 'still in the queue'
        if number is None:
            settings = dict(options.slurm or {})
            if after := [numbers[name] for name in job.dependencies if name in numbers]:
                settings |= {'dependency': f'afterok:{":".join(after)}', 'kill-on-invalid-dep': 'yes'}
            try:
                executor = submitit.SlurmExecutor(folder)
                # none of submitit's defaults: a time limit of 5 minutes, an accounting key, and srun
                executor.update_parameters(
                    job_name=job.name, additional_parameters=settings, time=None, wckey=None, use_srun=False
                )
                number, note = executor.submit(execute, job, options.accept_revision).job_id, 'submitted'
            except (FailedJobError, FailedSubmissionError) as error:
                raise ConfigError(f'Slurm refused {job.name}: {" ".join(str(error).split())}') from error
            except (RuntimeError, FileNotFoundError) as error:
                raise ConfigError('srun and sbatch are not on the PATH; omit --slurm to run on this machine') from error
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(number, encoding='utf-8')
        numbers[job.name] = number
        statuses[job.name] = JobStatus(Phase.WAITING, note=f'{note} as job {number}')
        print(f'{job.name}: {statuses[job.name]}', file=options.stream or sys.stderr, flush=True)
    return statuses


def _queued(record: Path) -> str | None:
    """Return the number of a submitted job that still waits or runs. None if Slurm does not know it."""
    try:
        number = record.read_text(encoding='utf-8').strip()
        done = subprocess.run(['squeue', '--noheader', '--jobs', number], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return number if done.returncode == 0 and done.stdout.strip() else None
