"""Turn rows into jobs: each run once, shared stages first, every job with its identity."""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.logging import MMLogger

from dscreid.apis.config import load_config
from dscreid.apis.option_values import format_value
from dscreid.apis.run_folder import FEATURES_FILE, METRICS_FILE
from dscreid.errors import ConfigError
from dscreid.lab.reproduction.experiments import Row
from dscreid.lab.reproduction.identity import (
    code_fingerprint,
    dataset_fingerprints,
    digest,
    run_digest,
    world_fingerprint,
)
from dscreid.lab.reproduction.jobs import RESULTS, Job
from dscreid.lab.reproduction.presets import Place, environment
from dscreid.lab.synthetic import WorldSpec
from dscreid.utils.config_difference import config_difference, effective_overrides
from dscreid.visualization import protocol_of

#: Command of the processes other than ``tools/train.py``.
TASKS = (sys.executable, '-m', 'dscreid.lab.reproduction.tasks')


@dataclass
class Plan:
    """Jobs by name, dependencies first, and the names of those that rows ask for; others are stages and worlds."""

    jobs: dict[str, Job] = field(default_factory=dict)
    rows: set[str] = field(default_factory=set)


def make_plan(place: Place, rows: Sequence[Row], directions: Sequence[str], seeds: Sequence[int]) -> Plan:
    """Plan everything that the rows need, seed by seed; raise a DscreidError if a config or data is missing."""
    plan, configs, code = Plan(), ConfigReader(place), code_fingerprint()
    for seed in seeds:
        for direction in directions:
            planner = _Planner(configs, direction, seed, plan.jobs, code)
            plan.rows.update(planner.add_row(row) for row in rows)
    return plan


class ConfigReader:
    """Read and cache the configs of a place.

    The roots of rendered worlds, which differ between seeds, are read as names of environment variables.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        roots = place.preset.roots.values() if place.preset.synthetic else ()
        self._roots = {variable: f'${variable}' for variable in roots}
        self._configs: dict[str, Config] = {}
        self._fingerprints: dict[str, dict[str, str]] = {}

    def path_of(self, method: str, direction: str) -> Path:
        """Return the config file of a method; raise a ConfigError with the files that were looked for."""
        preset, configs = self.place.preset, self.place.configs
        if path := preset.config_path(configs, method, direction):
            return path
        names = ', '.join(pattern.format(method=method, direction=direction) for pattern in preset.files)
        raise ConfigError(
            f"no config of '{method}' for {preset.name}: {configs} contains none of {names}; select the rows that "
            'have one with --rows'
        )

    def read(self, path: Path, overrides: Mapping[str, Any] = {}) -> Config:
        """Return a config with overrides. It is cached: do not modify it."""
        key = f'{path} {dict(overrides)}'
        if key not in self._configs:
            logger = MMLogger.get_current_instance()
            level = logger.level
            logger.setLevel(logging.WARNING)  # no message about the environment variables in each config
            try:
                with environment(self._roots):
                    self._configs[key] = load_config(path, dict(overrides))
            finally:
                logger.setLevel(level)
        return self._configs[key]

    def run_name(self, row: Row, direction: str) -> str:
        """Return the name of a row's run: the config's name, plus the row's tag if the row differs from the config."""
        path = self.path_of(row.method, direction)
        apart = row.view or row.untrained or effective_overrides(self.read(path), row.overrides)
        return f'{path.stem}+{row.tag}' if apart else path.stem

    def difference_to_dsc(self, config: Config, direction: str) -> dict[str, list] | None:
        """Compare a config with DSC's. None for a source stage, which only other runs build upon."""
        dsc = self.place.preset.config_path(self.place.configs, 'dsc', direction)
        return None if dsc is None or not config.get('source') else config_difference(self.read(dsc), config)

    def fingerprints(self, config: Config, worlds: Mapping[str, WorldSpec]) -> dict[str, str]:
        """Fingerprint the data that a config trains and tests on: rendered worlds, or real data if there are none."""
        if worlds:
            root = config.test_dataloader.dataset.root
            specs = {self._roots[self.place.preset.roots[spec.layout]]: spec for spec in worlds.values()}
            return {'world': world_fingerprint(specs[root])}
        key = str([(config.get(f'{name}_dataloader') or {}).get('dataset') for name in ('train', 'test')])
        if key not in self._fingerprints:
            self._fingerprints[key] = dataset_fingerprints(config)
        return self._fingerprints[key]


class _Planner:
    """Add the runs of one direction and seed to jobs by name."""

    def __init__(self, configs: ConfigReader, direction: str, seed: int, jobs: dict[str, Job], code: str) -> None:
        self.configs, self.place = configs, configs.place
        self.direction, self.seed, self.jobs, self.code = direction, seed, jobs, code
        self.worlds = self.place.preset.worlds(direction, seed)
        self.folder, self.prefix = self.place.group(direction, seed), f'{direction}/seed{seed}'

    def add_row(self, row: Row) -> str:
        """Add a row's run and its dependencies, and return the run's name."""
        path = self.configs.path_of(row.method, self.direction)
        run, config = self.configs.run_name(row, self.direction), self.configs.read(path)
        if row.view:
            features, out = self.folder / path.stem / FEATURES_FILE, self.folder / run / METRICS_FILE
            command = _task('view', features=features, protocol=protocol_of(config), view=row.view, out=out)
            key, stages = digest(['view', row.view]), [self._add_run(path)]
            return self._add(run, path, config, command, key, stages, (METRICS_FILE,), view=row.view)
        if row.untrained:
            command = _task('untrained', config=path, work_dir=self.folder / run)
            key = digest(['untrained', run_digest(config)])
            return self._add(run, path, config, command, key, untrained=True)
        return self._add_run(path, {} if run == path.stem else row.overrides, run)

    def _add_run(self, path: Path, overrides: Mapping[str, Any] = {}, run: str = '') -> str:
        """Add a training, or a test of source weights, after the source stage that its config names."""
        run = run or path.stem
        config = self.configs.read(path, overrides)
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
        outputs: tuple[str, ...] = RESULTS,
        **facts: Any,
    ) -> str:
        """Add a run after its stages and worlds, and return its name."""
        name, place = f'{self.prefix}/{run}', self.place
        if name in self.jobs:
            return name
        identity = dict(
            config=key,
            seed=self.seed,
            data=self.configs.fingerprints(config, self.worlds),
            code=self.code,
            sources={stage.rpartition('/')[2]: self.jobs[stage].identity for stage in stages},
        )
        card = dict(
            data=place.preset.name,
            synthetic=place.preset.synthetic,
            direction=self.direction,
            seed=self.seed,
            config=path.relative_to(place.configs.parent).as_posix(),
            overrides={},
            config_difference=self.configs.difference_to_dsc(config, self.direction),
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
            outputs=outputs,
            max_epochs=(config.get('train_cfg') or {}).get('max_epochs', 0),
        )
        return name

    def _add_worlds(self) -> list[str]:
        names = {role: f'{self.prefix}/{role} world' for role in self.worlds}
        for role, spec in self.worlds.items():
            folder = self.place.worlds(self.direction, self.seed) / role
            command = _task('render', root=folder, spec=spec.to_dict())
            self.jobs.setdefault(names[role], Job(names[role], folder, tuple(command), world=spec))
        return list(names.values())


def _task(name: str, **arguments: Any) -> list[str]:
    return [*TASKS, name, json.dumps(arguments, default=str)]
