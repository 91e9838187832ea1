"""One process of an experiment: a world to render, a run to train and test, features to rank again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
