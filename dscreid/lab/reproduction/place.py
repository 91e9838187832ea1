"""Where runs are stored and what they are made with."""

from dataclasses import dataclass, field
from pathlib import Path

from dscreid.lab.reproduction.presets import DataPreset
from dscreid.utils.shipped import shipped_configs, shipped_tools


@dataclass(frozen=True)
class Place:
    """Where runs are stored and what they are made with.

    Runs of one direction and seed are next to each other in ``out/<data>/<direction>/seed<k>``, each in a folder
    named after its config. ``tools/train.py`` looks there for the source stages of a config.

    Attributes:
        out: Root folder of all output.
        preset: The data.
        configs: Folder of all configs.
        trainer: Script that trains and tests a config.
        amp: Whether to train in mixed precision.
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
        """Return the folder of the runs of one direction and seed."""
        return self.folder / direction / f'seed{seed}'

    def worlds(self, direction: str, seed: int) -> Path:
        """Return the folder of the rendered worlds of one direction and seed."""
        return self.folder / 'worlds' / direction / f'seed{seed}'

    def environment(self, direction: str, seed: int) -> dict[str, str]:
        """Return the environment variables that point configs to the data of one direction and seed."""
        return self.preset.environment(self.worlds(direction, seed), direction, seed)
