"""One process of an experiment: render a world, train and test a run, or rank features again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dscreid.errors import ConfigError
from dscreid.utils.files import existing_file

#: File names in the folder of a run.
METRICS_FILE, FEATURES_FILE, LOG_FILE = 'metrics.json', 'features.safetensors', 'reproduce.log'


@dataclass(frozen=True)
class Job:
    """Everything one process needs to know, so that it can also run on another machine.

    Attributes:
        name: Unique name, such as ``bupt2hitsz/seed1/demo_dsc``.
        folder: The run's work directory, or the folder of a world.
        command: Command line of the process.
        environment: Environment variables in addition to those of this process.
        dependencies: Names of the jobs that must have finished.
        identity: What the result depends on. Empty for a world.
        facts: Entries of the run card that are not measured.
        outputs: Files that a finished job leaves in its folder.
        world: Spec of the world, as ``WorldSpec.to_dict`` returns it, or None for a run.
        max_epochs: Number of training epochs. 0 if nothing is trained.
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
        """File to lock while working in the folder. It is outside, because the folder may be removed."""
        return self.folder.parent / '.locks' / f'{self.folder.name}.lock'

    def to_json(self) -> str:
        """Serialize the job to JSON for :meth:`from_json` in another process."""
        return json.dumps(asdict(self) | {'folder': str(self.folder)}, indent=2) + '\n'

    @classmethod
    def from_json(cls, text: str) -> 'Job':
        """Load a job from the JSON that :meth:`to_json` wrote."""
        values = json.loads(text)
        sequences = {key: tuple(values[key]) for key in ('command', 'dependencies', 'outputs')}
        return cls(**values | sequences | {'folder': Path(values['folder'])})

    @classmethod
    def from_file(cls, path: Path) -> 'Job':
        """Load a job from a file that holds the output of :meth:`to_json`.

        Raises:
            ConfigError: If the file is missing or does not hold a valid job.
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
        """Check the types of values that were read from a file."""
        words = (self.name, *self.command, *self.dependencies, *self.outputs)
        mappings = (self.environment, self.identity, self.facts, {} if self.world is None else self.world)
        return (
            all(isinstance(word, str) for word in words)
            and all(isinstance(mapping, dict) for mapping in mappings)
            and type(self.max_epochs) is int
        )
