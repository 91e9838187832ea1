"""Runs what is missing of a table or figure."""

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
    """What to run, where, and what to take from before.

    Attributes:
        experiment: Name of a table or figure.
        place: Where runs lie and what they are made with.
        seeds: Seeds of worlds and runs.
        directions: Adaptation directions; none for the paper's.
        rows: Names or methods of some rows; none for all.
        jobs: Processes at a time.
        slurm: Submit each job to Slurm instead; None to run here.
        accept_revision: Take, and continue, runs of other code revisions. Their cards keep their revision, and
            tables that mix revisions say so.
        rerun_stale: Remove and repeat runs of other revisions, configs or data.
        stream: Where progress is printed; standard error by default.
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
    """What of a plan is there already.

    Attributes:
        jobs: The plan's jobs, with the identities that their finished sources have.
        finished: Names of those that are done.
        stale: Name → why what lies in its folder is not this job's.
    """

    jobs: Mapping[str, Job]
    finished: frozenset[str]
    stale: Mapping[str, Sequence[str]]


def reproduce(options: ReproductionOptions) -> dict[str, JobStatus]:
    """Run what is missing of a table or figure; what is finished is taken as it is.

    Args:
        options: What to run.

    Returns:
        What became of each job, by name.

    Raises:
        DscreidError: Unknown names, missing configs or data, or results of another revision, config or data; the
            message names the remedy. Nothing was started then. Failing runs do not raise.
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
    """Look which jobs of a plan are done."""
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
    """One sentence for each job that failed or was skipped."""
    return [
        f'{name}: {status.phase.value}: {status.note}'
        for name, status in statuses.items()
        if status.phase in (Phase.FAILED, Phase.SKIPPED)
    ]


def _clear_stale(
    jobs: Sequence[Job], stale: Mapping[str, Sequence[str]], options: ReproductionOptions
) -> None:
    """Remove results that are not this command's, or refuse to begin.

    Raises:
        ConfigError: There are some, and they are not to be repeated.
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
    """Each process's share of the processor's cores, where the user has not decided it."""
    if 'OMP_NUM_THREADS' in os.environ:
        return {}
    return {'OMP_NUM_THREADS': str(max(1, usable_cores() // jobs))}
