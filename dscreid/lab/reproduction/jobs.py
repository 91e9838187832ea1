"""One process of an experiment: a world to render, a run to train and test, features to rank again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dscreid.errors import ConfigError
from dscreid.utils.files import existing_file

#: Names within the folder of a run.
METRICS_FILE, FEATURES_FILE, LOG_FILE = 'metrics.json', 'features.safetensors', 'reproduce.log'


@dataclass(frozen=True)
class Job:
    """What one process does, complete enough to be done on another machine.

    Attributes:
        name: Unique name, such as ``bupt2hitsz/seed1/demo_dsc``.
        folder: The run's work directory, or the folder of a world.
        command: The process.
        environment: Variables of the process beside those of this one.
        dependencies: Names of the jobs that must have finished.
        identity: What the result depends on; empty for a world.
        facts: What the run card says beside what is measured.
        outputs: Files that a finished job leaves in its folder.
        world: Spec of the world, as ``WorldSpec.to_dict`` gives it, or None for a run.
        max_epochs: Epochs of the training; 0 where nothing is trained.
    """

    name: str
    folder: Path
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    world: Mapping[str, Any] | None = None
    max_epochs: int = 0

    @property
    def lock_file(self) -> Path:
        """File that is locked while a process works in the folder; outside of it, since that may be removed."""
        return self.folder.parent / '.locks' / f'{self.folder.name}.lock'

    def to_json(self) -> str:
        """The job as JSON, for :meth:`from_json` in another process."""
        return json.dumps(asdict(self) | {'folder': str(self.folder)}, indent=2) + '\n'

    @classmethod
    def from_json(cls, text: str) -> 'Job':
        """The job that :meth:`to_json` wrote."""
        values = json.loads(text)
        sequences = {key: tuple(values[key]) for key in ('command', 'dependencies', 'outputs')}
        return cls(**values | sequences | {'folder': Path(values['folder'])})

    @classmethod
    def from_file(cls, path: Path) -> 'Job':
        """The job in a file that :meth:`to_json` wrote.

        Raises:
            ConfigError: The file is missing, or no such job.
        """
        if existing_file(path) is None:
            raise ConfigError(f'{path}: no such job; submit the table again')
        try:
            job = cls.from_json(path.read_text(encoding='utf-8'))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            job = None
        if job is None or not job._is_sound():
            raise ConfigError(f'{path}: is no job of this tool; submit the table again')
        return job

    def _is_sound(self) -> bool:
        """Whether values that came from a file are of the right types."""
        words = (self.name, *self.command, *self.dependencies, *self.outputs)
        mappings = (self.environment, self.identity, self.facts, {} if self.world is None else self.world)
        return (
            all(isinstance(word, str) for word in words)
            and all(isinstance(mapping, dict) for mapping in mappings)
            and type(self.max_epochs) is int
        )
