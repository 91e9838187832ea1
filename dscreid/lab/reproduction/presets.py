"""Where an experiment's data comes from, and which config files implement the methods on it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dscreid.lab.reproduction.experiments import find
from dscreid.lab.synthetic import WorldSpec
from dscreid.lab.worlds import adaptation_worlds
from dscreid.utils.shipped import is_config, shipped_configs, shipped_tools

_FOLDERS = ('dsc', 'baselines', 'resnet50', 'ablations', 'synthetic')
_REAL_FILES = tuple(f'{folder}/{{method}}_{{direction}}.py' for folder in _FOLDERS)
_DEMO_FILES = tuple(f'{folder}/{{method}}_demo.py' for folder in _FOLDERS)
#: Environment variables of the configs' data roots, by layout.
_REAL_ROOTS = {'bupt': 'DSCREID_BUPT_CAMPUS', 'hitsz': 'DSCREID_HITSZ_VCM'}
_DEMO_ROOTS = {'bupt': 'DSCREID_SYNTHETIC_BUPT', 'hitsz': 'DSCREID_SYNTHETIC_HITSZ'}


@dataclass(frozen=True)
class DataPreset:
    """A kind of data that all experiments can run on."""

    name: str  # name on the command line
    # patterns of config files below configs, tried in order, with {method} and {direction}
    files: tuple[str, ...]
    roots: Mapping[str, str]  # layout → environment variable that tells the configs where the data in that layout is
    world: str | None = None  # preset of adaptation_worlds to render, or None for real data

    @property
    def synthetic(self) -> bool:
        """Whether the data is rendered."""
        return self.world is not None

    def config_path(self, configs: Path, method: str, direction: str) -> Path | None:
        """Return the config file of a method, or None if there is none."""
        candidates = (configs / pattern.format(method=method, direction=direction) for pattern in self.files)
        return next((path for path in candidates if is_config(path)), None)

    def worlds(self, direction: str, seed: int) -> dict[str, WorldSpec]:
        """Return the specs of the ``'source'`` and ``'target'`` worlds. Empty for real data."""
        if self.world is None:
            return {}
        source, target = adaptation_worlds(seed, direction, self.world)
        return {'source': source, 'target': target}


PRESETS: dict[str, DataPreset] = {
    preset.name: preset
    for preset in (
        DataPreset('synthetic-demo', _DEMO_FILES, _DEMO_ROOTS, 'demo'),
        # the configs of the real datasets, on worlds of the same size and layout
        DataPreset('synthetic-full', _REAL_FILES, _REAL_ROOTS, 'full'),
        DataPreset('real', _REAL_FILES, _REAL_ROOTS),
    )
}


def find_preset(name: str) -> DataPreset:
    """Return the data preset with this name, or raise a ConfigError that lists the known names."""
    return find('data', name, PRESETS)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables inside a block. Configs read their data roots from them."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True)
class Place:
    """Where runs are stored (``out/<data>/<direction>/seed<k>``) and what they are made with.

    ``configs`` is the folder of all configs, ``trainer`` a script that trains and tests one, and ``amp`` selects mixed
    precision.
    """

    out: Path
    preset: DataPreset
    configs: Path = field(default_factory=shipped_configs)
    trainer: Path = field(default_factory=lambda: shipped_tools() / 'train.py')
    amp: bool = False

    @property
    def folder(self) -> Path:
        """Folder of all runs on this data."""
        return self.out / self.preset.name

    def group(self, direction: str, seed: int) -> Path:
        """Return the folder of the runs of one direction and seed. A run looks for its source stages beside it."""
        return self.folder / direction / f'seed{seed}'

    def worlds(self, direction: str, seed: int) -> Path:
        """Return the folder of the rendered worlds of one direction and seed."""
        return self.folder / 'worlds' / direction / f'seed{seed}'

    def environment(self, direction: str, seed: int) -> dict[str, str]:
        """Return the environment variables that point configs to the worlds. Empty for real data."""
        folder, worlds = self.worlds(direction, seed), self.preset.worlds(direction, seed)
        return {self.preset.roots[spec.layout]: str(folder / role) for role, spec in worlds.items()}
