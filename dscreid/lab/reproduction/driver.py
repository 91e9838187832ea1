"""Run the missing parts of a table or figure."""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO

from dscreid.errors import ConfigError
from dscreid.lab.reproduction.experiments import choose_rows, find_experiment
from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.reproduction.place import Place
from dscreid.lab.reproduction.planning import Plan, make_plan, needed_jobs, with_recorded_sources
from dscreid.lab.reproduction.process import lock_folder
from dscreid.lab.reproduction.progress import JobStatus, Phase
from dscreid.lab.reproduction.records import CARD_FILE, State, inspect_job, read_record, remove_run
from dscreid.lab.reproduction.scheduler import Scheduler
from dscreid.lab.reproduction.slurm import SlurmOptions, submit
from dscreid.utils.machine import usable_cores
from dscreid.visualization import collect_environment

_SHOWN_STALE = 6


@dataclass(frozen=True)
class ReproductionOptions:
    """What to run, where, and which existing runs to reuse.

    Attributes:
        experiment: Name of a table or figure.
        place: Where the runs are stored and what they are made with.
        seeds: Seeds of worlds and runs.
        directions: Adaptation directions. Empty for the paper's directions.
        rows: Names or methods of the rows to run. Empty for all rows.
        jobs: Number of parallel processes.
        slurm: Submit each job to Slurm instead. None runs the jobs on this machine.
        accept_revision: Reuse and continue runs of other code revisions. Their run cards keep their revision, and
            tables that mix revisions say so.
        rerun_stale: Remove and repeat runs of other revisions, configs or data.
        stream: Where progress is printed. Standard error by default.
    """

    experiment: str
    place: Place
    seeds: Sequence[int] = (1,)
    directions: Sequence[str] = ()
    rows: Sequence[str] = ()
    jobs: int = 1
    slurm: SlurmOptions | None = None
    accept_revision: bool = False
    rerun_stale: bool = False
    stream: TextIO | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Found:
    """The state of a plan's jobs on disk.

    Attributes:
        jobs: The plan's jobs, with the recorded identities of their finished sources.
        finished: Names of the finished jobs.
        stale: Name → reasons why the content of the folder does not belong to this job.
    """

    jobs: Mapping[str, Job]
    finished: frozenset[str]
    stale: Mapping[str, Sequence[str]]


def reproduce(options: ReproductionOptions) -> dict[str, JobStatus]:
    """Run the missing parts of a table or figure and reuse the finished ones.

    Args:
        options: What to run.

    Returns:
        Status of each job by name.

    Raises:
        DscreidError: For unknown names, missing configs or data, or results of another revision, config or data. The
            message names the fix, and nothing has been started. Failing runs do not raise.
    """
    experiment = find_experiment(options.experiment)
    rows = choose_rows(experiment, options.rows)
    directions = options.directions or experiment.directions
    plan = make_plan(options.place, rows, directions, options.seeds)
    found = find_finished(plan, options.accept_revision)
    jobs = needed_jobs(replace(plan, jobs=dict(found.jobs)), found.finished)
    _clear_stale(jobs, found.stale, options)
    taken = [found.jobs[name] for name in plan.jobs if name in plan.rows and name in found.finished]
    if options.slurm is not None:
        return submit(jobs, taken, options.slurm, options.accept_revision)
    return Scheduler(
        jobs,
        taken,
        slots=options.jobs,
        describe_environment=functools.cache(collect_environment),
        environment=_shared_cores(options.jobs),
        accept_revision=options.accept_revision,
        stream=options.stream,
    ).run()


def find_finished(plan: Plan, accept_revision: bool) -> Found:
    """Find out which jobs of a plan are finished."""
    jobs, recorded, finished, stale = {}, {}, set(), {}
    for name, job in plan.jobs.items():
        jobs[name] = with_recorded_sources(job, recorded)
        inspection = inspect_job(jobs[name], accept_revision)
        if inspection.state is State.FINISHED:
            finished.add(name)
            if job.world is None:
                recorded[name] = read_record(job.folder / CARD_FILE)['identity']
        elif inspection.state is State.STALE:
            stale[name] = inspection.reasons
    return Found(jobs, frozenset(finished), stale)


def failures(statuses: Mapping[str, JobStatus]) -> list[str]:
    """Describe each failed or skipped job in one sentence."""
    return [
        f'{name}: {status.phase.value}: {status.note}'
        for name, status in statuses.items()
        if status.phase in (Phase.FAILED, Phase.SKIPPED)
    ]


def _clear_stale(
    jobs: Sequence[Job], stale: Mapping[str, Sequence[str]], options: ReproductionOptions
) -> None:
    """Remove stale results, or refuse to start.

    Raises:
        ConfigError: If there are stale results and ``rerun_stale`` is False.
    """
    outdated = [job for job in jobs if job.name in stale]
    if options.rerun_stale:
        for job in outdated:
            _remove_locked(job)
    elif outdated:
        raise ConfigError(_stale_message(outdated, stale))


def _remove_locked(job: Job) -> None:
    lock = lock_folder(job)
    if lock is None:
        raise ConfigError(f'{job.name}: another process works in {job.folder}; wait for it, or end it')
    with lock:
        remove_run(job)


def _stale_message(jobs: Sequence[Job], stale: Mapping[str, Sequence[str]]) -> str:
    shown = '; '.join(f'{job.name} (another {", ".join(stale[job.name])})' for job in jobs[:_SHOWN_STALE])
    more = f' and {len(jobs) - _SHOWN_STALE} more' if len(jobs) > _SHOWN_STALE else ''
    cures = ['repeat them with --rerun-stale, which removes them', 'choose another --out']
    if all(all(reason.startswith('code revision') for reason in stale[job.name]) for job in jobs):
        cures.insert(0, 'take them as they are with --accept-revision')
    return f'results that were made differently are not mixed in: {shown}{more}; {", ".join(cures)}'


def _shared_cores(jobs: int) -> dict[str, str]:
    """Give each process its share of the processor cores, unless the user has set ``OMP_NUM_THREADS``."""
    if 'OMP_NUM_THREADS' in os.environ:
        return {}
    return {'OMP_NUM_THREADS': str(max(1, usable_cores() // jobs))}
