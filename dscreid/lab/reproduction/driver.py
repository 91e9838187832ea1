"""Run the missing parts of a table or figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO

from dscreid.errors import ConfigError
from dscreid.lab.reproduction.execution import Scheduler, lock_folder
from dscreid.lab.reproduction.experiments import choose_rows, find_experiment
from dscreid.lab.reproduction.identity import Identity
from dscreid.lab.reproduction.jobs import CARD_FILE, Job, is_finished, read_record, remove_run, stale_reasons
from dscreid.lab.reproduction.planning import Plan, make_plan
from dscreid.lab.reproduction.presets import Place
from dscreid.lab.reproduction.progress import JobStatus
from dscreid.lab.reproduction.slurm import submit

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
        slurm: Options of ``sbatch`` to submit each job to Slurm. None runs the jobs on this machine.
        accept_revision: Reuse and continue runs of other code revisions; tables that mix revisions say so.
        rerun_stale: Remove and repeat runs of other revisions, configs or data.
        stream: Where progress is printed. Standard error by default.
    """

    experiment: str
    place: Place
    seeds: Sequence[int] = (1,)
    directions: Sequence[str] = ()
    rows: Sequence[str] = ()
    jobs: int = 1
    slurm: Mapping[str, str] | None = None
    accept_revision: bool = False
    rerun_stale: bool = False
    stream: TextIO | None = field(default=None, repr=False)


def reproduce(options: ReproductionOptions) -> dict[str, JobStatus]:
    """Run the missing parts of a table or figure, reuse the finished ones, and return the status of each job by name.

    Raises:
        DscreidError: For unknown names, missing configs or data, or results of another revision, config or data.
            Nothing has been started then. Failing runs do not raise.
    """
    jobs, taken = prepare(options)
    accept = options.accept_revision
    if options.slurm is not None:
        return submit(jobs, taken, options.place.folder / '.slurm', options.slurm, accept)
    return Scheduler(jobs, taken, options.jobs, accept, options.stream).run()


def prepare(options: ReproductionOptions) -> tuple[list[Job], list[Job]]:
    """Return the jobs to run, dependencies first, and the rows' finished jobs. See :func:`reproduce` for errors."""
    experiment = find_experiment(options.experiment)
    rows = choose_rows(experiment, options.rows)
    plan = make_plan(options.place, rows, options.directions or experiment.directions, options.seeds)
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
    taken = plan.rows & finished
    jobs = plan.jobs.values()
    return [job for job in jobs if job.name in needed], [job for job in jobs if job.name in taken]


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
            if card := read_record(job.folder / CARD_FILE):
                recorded[name] = card['identity']
    return finished, stale


def failures(statuses: Mapping[str, JobStatus]) -> list[str]:
    """Describe each failed or skipped job in one sentence."""
    return [f'{name}: {status.phase.value}: {status.note}' for name, status in statuses.items() if status.lost]


def _remove_locked(job: Job) -> None:
    lock = lock_folder(job)
    if lock is None:
        raise ConfigError(f'{job.name}: another process works in {job.folder}; wait for it, or end it')
    with lock:
        remove_run(job)


def _stale_message(outdated: Mapping[str, Sequence[str]]) -> str:
    parts = [f'{name} ({", ".join(reasons)})' for name, reasons in outdated.items()]
    if len(parts) > _SHOWN_STALE:
        parts[_SHOWN_STALE:] = [f'and {len(parts) - _SHOWN_STALE} more']
    remedies = 'repeat them with --rerun-stale, which removes them, choose another --out'
    if all(reason.startswith('another code revision') for reasons in outdated.values() for reason in reasons):
        remedies = f'use them as they are with --accept-revision, {remedies}'
    return f'some results were made differently and are not mixed in: {"; ".join(parts)}; {remedies}'
