"""Turn rows into jobs: each run once, shared stages first, every job with its identity."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine import Config

from dscreid.apis.option_values import format_value
from dscreid.errors import ConfigError
from dscreid.lab.reproduction.experiments import Row
from dscreid.lab.reproduction.identity import code_fingerprint, dataset_fingerprints, digest, run_digest
from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.reproduction.presets import Place
from dscreid.lab.synthetic.target_folder import RENDERER_VERSION
from dscreid.utils.progress import progress_bar

#: Command of the processes other than ``tools/train.py``.
TASKS = (sys.executable, '-m', 'dscreid.lab.reproduction.tasks')


@dataclass
class Plan:
    """Jobs by name, dependencies first, and the names of those that rows ask for; others are stages and worlds."""

    jobs: dict[str, Job] = field(default_factory=dict)
    rows: set[str] = field(default_factory=set)


def make_plan(place: Place, rows: Mapping[str, Sequence[Row]], seeds: Sequence[int]) -> Plan:
    """Plan everything that the rows of each direction need, seed by seed.

    Raises:
        DscreidError: If a config or data is missing.
    """
    plan, code = Plan(), code_fingerprint()
    place = replace(place)  # reads all configs anew
    fingerprints: dict[str, dict[str, str]] = {}
    groups = [(direction, seed) for seed in seeds for direction in rows]
    with progress_bar() as bar:  # reading the configs of all tables takes half a minute
        task = bar.add_task('plan', total=sum(len(rows[direction]) for direction, _ in groups))
        for direction, seed in groups:
            planner = _Planner(place, direction, seed, plan.jobs, code, fingerprints)
            for row in rows[direction]:
                plan.rows.add(planner.add_row(row))
                bar.advance(task)
    return plan


@dataclass
class _Planner:
    """Add the runs of one direction and seed to jobs by name."""

    place: Place
    direction: str
    seed: int
    jobs: dict[str, Job]
    code: str
    fingerprints: dict[str, dict[str, str]]  # of real data, which are slow to compute

    def __post_init__(self) -> None:
        self.worlds = self.place.preset.worlds(self.direction, self.seed)
        self.folder, self.prefix = self.place.group(self.direction, self.seed), f'{self.direction}/seed{self.seed}'

    def add_row(self, row: Row) -> str:
        """Add a row's run and its dependencies, and return the run's name."""
        path, run = self.place.config_path(row.method, self.direction), self.place.run_name(row, self.direction)
        if row.untrained:
            config = self.place.read(path)
            command = _task('untrained', config=path, work_dir=self.folder / run)
            return self._add(run, path, config, command, run_digest(config, untrained=True), untrained=True)
        return self._add_run(path, {} if run == path.stem else row.overrides, run)

    def _add_run(self, path: Path, overrides: Mapping[str, Any] = {}, run: str = '') -> str:
        """Add a training, or a test of source weights, after the source stage that its config names."""
        run = run or path.stem
        config = self.place.read(path, overrides)
        stages = []
        if source := config.get('source'):
            if source.get('checkpoint'):
                raise ConfigError(f'{path}: tables train their own source stages; set source.checkpoint to None')
            stages.append(self._add_run(Path(source.config)))
        command = [sys.executable, str(self.place.trainer), str(path), '--work-dir', str(self.folder / run)]
        command += ['--resume', '--seed', str(self.seed), *(['--amp'] if self.place.amp else [])]
        if overrides:
            command += ['--cfg-options', *(f'{key}={format_value(value)}' for key, value in overrides.items())]
        return self._add(run, path, config, command, run_digest(config), stages, overrides=dict(overrides))

    def _add(
        self,
        run: str,
        path: Path,
        config: Config,
        command: Sequence[str],
        key: str,
        stages: Sequence[str] = (),
        **facts: Any,
    ) -> str:
        """Add a run after its stages and worlds, and return its name."""
        name, place = f'{self.prefix}/{run}', self.place
        if name in self.jobs:
            return name
        identity = dict(
            config=key,
            seed=self.seed,
            data=self._fingerprints(config),
            code=self.code,
            sources={stage.rpartition('/')[2]: self.jobs[stage].identity for stage in stages},
        )
        card = dict(
            data=place.preset.name,
            synthetic=place.preset.world is not None,
            direction=self.direction,
            seed=self.seed,
            config=path.relative_to(place.configs.parent).as_posix(),
            overrides={},
            config_difference=place.difference_to_dsc(config, self.direction),
            amp=place.amp,
        )
        self.jobs[name] = Job(
            name=name,
            folder=self.folder / run,
            command=tuple(command),
            environment=place.environment(self.direction, self.seed),
            dependencies=(*self._add_worlds(), *stages),
            identity=identity,
            facts=card | facts,
        )
        return name

    def _fingerprints(self, config: Config) -> dict[str, str]:
        """Fingerprint the world that a config tests on, or the real data that it trains and tests on."""
        for spec in self.worlds.values():
            if config.test_dataloader.dataset.root == f'${self.place.preset.roots[spec.layout]}':
                return {'world': digest(dict(renderer=RENDERER_VERSION, spec=spec.to_dict()))}
        key = str([(config.get(f'{name}_dataloader') or {}).get('dataset') for name in ('train', 'test')])
        if key not in self.fingerprints:
            self.fingerprints[key] = dataset_fingerprints(config)
        return self.fingerprints[key]

    def _add_worlds(self) -> list[str]:
        folders = self.place.world_folders(self.direction, self.seed)
        names = {role: f'{self.prefix}/{role} world' for role in folders}
        for role, folder in folders.items():
            spec = self.worlds[role]
            command = _task('render', root=folder, spec=spec.to_dict())
            self.jobs.setdefault(names[role], Job(names[role], folder, command, world=spec))
        return list(names.values())


def _task(name: str, **arguments: Any) -> tuple[str, ...]:
    return (*TASKS, name, json.dumps(arguments, default=str))
