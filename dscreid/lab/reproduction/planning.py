"""Turn rows into jobs: each run once, shared stages first, every job with its identity."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine import Config

from dscreid.apis.option_values import format_value
from dscreid.apis.train import FINISHED_FILE
from dscreid.errors import ConfigError
from dscreid.lab.reproduction.config_reader import NO_OVERRIDES, ConfigReader
from dscreid.lab.reproduction.experiments import Row
from dscreid.lab.reproduction.identity import (
    Identity,
    code_fingerprint,
    digest,
    file_fingerprint,
    run_digest,
)
from dscreid.lab.reproduction.jobs import FEATURES_FILE, METRICS_FILE, Job
from dscreid.lab.reproduction.place import Place
from dscreid.visualization import protocol_of

#: Command of the processes other than ``tools/train.py``.
TASKS = (sys.executable, '-m', 'dscreid.lab.reproduction.tasks')
#: The code of these tasks is not part of the code fingerprint.
_HERE = Path(__file__).parent


@dataclass
class Plan:
    """Jobs in topological order: dependencies come first.

    Attributes:
        jobs: Name → job.
        rows: Names of the jobs that rows ask for. All other jobs are stages and worlds.
    """

    jobs: dict[str, Job] = field(default_factory=dict)
    rows: set[str] = field(default_factory=set)


def make_plan(place: Place, rows: Sequence[Row], directions: Sequence[str], seeds: Sequence[int]) -> Plan:
    """Plan everything that the rows need, seed by seed.

    Raises:
        DscreidError: If a row has no config, a config cannot be read, or data is missing.
    """
    plan, configs, code = Plan(), ConfigReader(place), code_fingerprint()
    for seed in seeds:
        for direction in directions:
            planner = _Planner(configs, direction, seed, plan, code)
            plan.rows.update(planner.add_row(row) for row in rows)
    return plan


class _Planner:
    """Add the runs of one direction and seed to a plan."""

    def __init__(self, configs: ConfigReader, direction: str, seed: int, plan: Plan, code: str) -> None:
        self.configs, self.place = configs, configs.place
        self.direction, self.seed, self.plan, self.code = direction, seed, plan, code
        self.worlds = self.place.preset.worlds(direction, seed)

    def add_row(self, row: Row) -> str:
        """Add a row's run and its dependencies, and return the run's name."""
        path = self.configs.path_of(row.method, self.direction)
        name = self.configs.run_name(row, self.direction)
        if row.view:
            return self._add_view(name, path, row.view)
        if row.untrained:
            return self._add_untrained(name, path)
        return self._add_run(path, {} if name == path.stem else row.overrides, name)

    def _add_run(self, path: Path, overrides: Mapping[str, Any] = NO_OVERRIDES, run: str = '') -> str:
        """Add a training, or a test of source weights, after the source stage that its config names."""
        name = self._name(run or path.stem)
        if name in self.plan.jobs:
            return name
        config = self.configs.read(path, overrides)
        stages = [] if not config.get('source') else [self._add_source(path, config)]
        command = [sys.executable, str(self.place.trainer), str(path), '--work-dir', str(self._folder(name))]
        command += ['--resume', '--seed', str(self.seed), *(['--amp'] if self.place.amp else [])]
        if overrides:
            command += [
                '--cfg-options',
                *(f'{key}={format_value(value)}' for key, value in overrides.items()),
            ]
        trained = config.get('train_cfg') is not None
        self.plan.jobs[name] = Job(
            **self._common(name, path, config, run_digest(config), stages),
            command=tuple(command),
            outputs=(METRICS_FILE, FEATURES_FILE, *([FINISHED_FILE] if trained else [])),
            facts=self._facts(path, overrides, config),
            max_epochs=config.train_cfg.get('max_epochs', 0) if trained else 0,
        )
        return name

    def _add_source(self, path: Path, config: Config) -> str:
        """Add the stage whose weights a config starts from, in the folder where ``tools/train.py`` looks for it."""
        if config.source.get('checkpoint'):
            raise ConfigError(
                f'{path}: source.checkpoint names a file, but the runs of a table take their stages from their own '
                'folder; leave it None'
            )
        return self._add_run(Path(config.source.config))

    def _add_view(self, run: str, path: Path, view: str) -> str:
        """Add a job that ranks a run's features in another way."""
        parent, name = self._add_run(path), self._name(run)
        config = self.configs.read(path)
        features, metrics = self._folder(parent) / FEATURES_FILE, self._folder(name) / METRICS_FILE
        command = [*TASKS, 'view', '--features', str(features), '--protocol', protocol_of(config)]
        self.plan.jobs[name] = Job(
            **self._common(
                name, path, config, digest(['view', view, file_fingerprint(_HERE / 'views.py')]), [parent]
            ),
            command=(*command, '--view', view, '--out', str(metrics)),
            outputs=(METRICS_FILE,),
            facts=self._facts(path, NO_OVERRIDES, config) | {'view': view},
        )
        return name

    def _add_untrained(self, run: str, path: Path) -> str:
        """Add the test of the pre-trained tower without training."""
        name = self._name(run)
        config = self.configs.read(path)
        command = [*TASKS, 'untrained', '--config', str(path), '--work-dir', str(self._folder(name))]
        self.plan.jobs[name] = Job(
            **self._common(
                name,
                path,
                config,
                digest(['untrained', run_digest(config), file_fingerprint(_HERE / 'tasks.py')]),
                [],
            ),
            command=tuple(command),
            outputs=(METRICS_FILE, FEATURES_FILE),
            facts=self._facts(path, NO_OVERRIDES, config) | {'untrained': True},
        )
        return name

    def _common(
        self, name: str, path: Path, config: Config, key: str, stages: Sequence[str]
    ) -> dict[str, Any]:
        """Return the fields that all jobs of a run have: place, dependencies and identity."""
        identity = dict(
            config=key,
            seed=self.seed,
            data=self.configs.fingerprints(config, self.worlds),
            code=self.code,
            sources={_run_of(stage): self.plan.jobs[stage].identity for stage in stages},
        )
        return dict(
            name=name,
            folder=self._folder(name),
            environment=self.place.environment(self.direction, self.seed),
            dependencies=(*self._add_worlds(), *stages),
            identity=identity,
        )

    def _add_worlds(self) -> list[str]:
        """Add the rendering of both worlds."""
        names = []
        for role, spec in self.worlds.items():
            name = self._name(f'{role} world')
            folder = self.place.worlds(self.direction, self.seed) / role
            command = (*TASKS, 'render', '--root', str(folder), '--spec', json.dumps(spec.to_dict()))
            self.plan.jobs.setdefault(name, Job(name, folder, command, world=spec.to_dict()))
            names.append(name)
        return names

    def _facts(self, path: Path, overrides: Mapping[str, Any], config: Config) -> dict[str, Any]:
        """Return the entries of the run card that describe how the run was made."""
        return dict(
            data=self.place.preset.name,
            synthetic=self.place.preset.synthetic,
            direction=self.direction,
            seed=self.seed,
            config=path.relative_to(self.place.configs.parent).as_posix(),
            overrides=dict(overrides),
            config_difference=self.configs.difference_to_dsc(config, self.direction),
            amp=self.place.amp,
        )

    def _name(self, run: str) -> str:
        return f'{self.direction}/seed{self.seed}/{run}'

    def _folder(self, name: str) -> Path:
        return self.place.group(self.direction, self.seed) / _run_of(name)


def _run_of(name: str) -> str:
    """Strip direction and seed from the name of a run."""
    return name.rpartition('/')[2]


def needed_jobs(plan: Plan, finished: Iterable[str]) -> list[Job]:
    """Return the jobs to run: unfinished rows, preceded by their unfinished dependencies."""
    done, needed = set(finished), {}

    def visit(name: str) -> None:
        if name in done or name in needed:
            return
        for dependency in plan.jobs[name].dependencies:
            visit(dependency)
        needed[name] = plan.jobs[name]

    for name in plan.jobs:
        if name in plan.rows:
            visit(name)
    return list(needed.values())


def with_recorded_sources(job: Job, recorded: Mapping[str, Identity]) -> Job:
    """Replace the expected identities of a job's finished sources with the recorded ones.

    Args:
        job: A job.
        recorded: Name of a finished job → identity that it was made with.
    """
    known = {_run_of(name): recorded[name] for name in job.dependencies if name in recorded}
    sources = {run: known.get(run, identity) for run, identity in job.identity.get('sources', {}).items()}
    return replace(job, identity=dict(job.identity, sources=sources)) if sources else job
