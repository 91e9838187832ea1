"""Read the configs of rows, each one once for all directions and seeds that share it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mmengine import Config
from mmengine.logging import MMLogger

from dscreid.apis.config import load_config
from dscreid.errors import ConfigError
from dscreid.lab.reproduction.experiments import Row
from dscreid.lab.reproduction.identity import dataset_fingerprints, world_fingerprint
from dscreid.lab.reproduction.presets import Place, environment
from dscreid.lab.synthetic import WorldSpec
from dscreid.utils.config_difference import config_difference, effective_overrides

NO_OVERRIDES: Mapping[str, Any] = MappingProxyType({})


class ConfigReader:
    """Read and cache the configs of a place.

    Rendered worlds are in a different folder for each seed. Their roots are therefore read as the name of the
    environment variable that holds the folder when a run of that seed starts.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        roots = place.preset.roots.values() if place.preset.synthetic else ()
        self._roots = {variable: f'${variable}' for variable in roots}
        self._configs: dict[str, Config] = {}
        self._fingerprints: dict[str, dict[str, str]] = {}

    def path_of(self, method: str, direction: str) -> Path:
        """Return the config file of a method.

        Raises:
            ConfigError: If there is none. The message lists the files that were looked for.
        """
        preset, configs = self.place.preset, self.place.configs
        path = preset.config_path(configs, method, direction)
        if path is None:
            names = ', '.join(pattern.format(method=method, direction=direction) for pattern in preset.files)
            raise ConfigError(
                f"no config of '{method}' for {preset.name}: {configs} contains none of {names}; select the rows that "
                'have one with --rows'
            )
        return path

    def read(self, path: Path, overrides: Mapping[str, Any] = NO_OVERRIDES) -> Config:
        """Return a config with overrides. Do not modify it.

        Raises:
            ConfigError: If the config cannot be read.
        """
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
        """Return the name of a row's run: the config's name, plus the row's tag if the row differs from the config.

        Raises:
            ConfigError: If the row has no config or the config cannot be read.
        """
        path = self.path_of(row.method, direction)
        apart = row.view or row.untrained or effective_overrides(self.read(path), row.overrides)
        return f'{path.stem}+{row.tag}' if apart else path.stem

    def difference_to_dsc(self, config: Config, direction: str) -> dict[str, list] | None:
        """Compare a config with DSC's. None for a source stage, which only other runs build upon."""
        dsc = self.place.preset.config_path(self.place.configs, 'dsc', direction)
        return None if dsc is None or not config.get('source') else config_difference(self.read(dsc), config)

    def fingerprints(self, config: Config, worlds: Mapping[str, WorldSpec]) -> dict[str, str]:
        """Fingerprint the data that a config trains and tests on.

        Args:
            config: A config that this object read.
            worlds: The rendered worlds of a direction and seed. Empty for real data, whose index files are read
                instead.

        Raises:
            DatasetError: If a real dataset is missing or malformed.
        """
        if worlds:
            root = config.test_dataloader.dataset.root
            specs = {self._roots[self.place.preset.roots[spec.layout]]: spec for spec in worlds.values()}
            return {'world': world_fingerprint(specs[root])}
        key = str([(config.get(f'{name}_dataloader') or {}).get('dataset') for name in ('train', 'test')])
        if key not in self._fingerprints:
            self._fingerprints[key] = dataset_fingerprints(config)
        return self._fingerprints[key]
