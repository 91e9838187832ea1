"""Jobs of an experiment, their states, and the run cards that they leave in their folders."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from dscreid.apis.run_folder import FEATURES_FILE, METRICS_FILE, remove_run_folder
from dscreid.apis.test import write_json
from dscreid.errors import ConfigError
from dscreid.lab.reproduction.identity import Identity, differences
from dscreid.lab.synthetic import WorldSpec, is_complete
from dscreid.utils.quantities import duration_text
from dscreid.utils.records import is_finite_number, is_number
from dscreid.utils.shipped import shipped_folder

#: Files that a finished run leaves, in addition to its card.
RESULTS = (METRICS_FILE, FEATURES_FILE)
#: The card is written when a run starts, and again with the metrics when it has finished.
CARD_FILE, LOG_FILE = 'run_card.json', 'reproduce.log'
#: Record of unfinished runs of earlier versions.
_OLD_FILE = 'run_start.json'
_NO_RECORD = 'no record of this tool'


@dataclass(frozen=True)
class Job:
    """One process: render a world, or train and test a run."""

    name: str  # unique name, such as bupt2hitsz/seed1/dsc_demo
    folder: Path  # the run's work directory, or the folder of a world
    command: tuple[str, ...]
    # environment variables in addition to those of this process
    environment: Mapping[str, str] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()  # names of the jobs that must have finished
    identity: Identity = field(default_factory=dict)  # what the result depends on; empty for a world
    facts: Mapping[str, Any] = field(default_factory=dict)  # entries of the run card that are not measured
    world: WorldSpec | None = None  # the world to render, or None for a run

    @property
    def log(self) -> Path:
        """The job's log file. A world's log is next to its folder, which only the renderer may change."""
        return self.folder / LOG_FILE if self.world is None else self.folder.with_name(f'{self.folder.name}.log')

    @property
    def missing(self) -> list[str]:
        """Result files that are not there."""
        names = RESULTS if self.world is None else ()
        return [name for name in names if not (self.folder / name).is_file()]


class Phase(Enum):
    """State of a job in this command, as printed."""

    WAITING = 'waiting'
    RUNNING = 'running'
    FINISHED = 'finished'
    TAKEN = 'finished before'
    FAILED = 'failed'
    SKIPPED = 'skipped'


@dataclass(frozen=True)
class JobStatus:
    """A job's state, its wall time (None if unknown), and a note."""

    phase: Phase
    seconds: float | None = None
    note: str = ''

    @property
    def done(self) -> bool:
        """Whether the results are there."""
        return self.phase in (Phase.FINISHED, Phase.TAKEN)

    @property
    def lost(self) -> bool:
        """Whether there will be no results."""
        return self.phase in (Phase.FAILED, Phase.SKIPPED)

    def __str__(self) -> str:
        duration = '' if self.seconds is None else duration_text(self.seconds)
        details = '; '.join(filter(None, (duration, self.note)))
        return self.phase.value + (f' ({details})' if details else '')


def is_finished(job: Job) -> bool:
    """Check if a job has left its results. They may still be stale."""
    if job.world is not None:
        return is_complete(job.folder, job.world)
    return finished_card(job.folder) is not None and not job.missing


def stale_reasons(job: Job, accept_revision: bool = False) -> list[str]:
    """Describe how the content of a job's folder differs from what the job makes. Empty if it does not."""
    if job.world is not None or not job.folder.is_dir() or not any(job.folder.iterdir()):
        return []
    card = _read_card(job.folder)
    if card is None:
        return [_NO_RECORD]
    return [f'another {part}' for part in differences(card['identity'], job.identity, accept_revision)]


def begin_attempt(job: Job) -> dict[str, Any]:
    """Record the start of an attempt, and return the card for :func:`end_attempt`."""
    # the identity is that of the first attempt: a later one may use another, accepted revision
    old = _read_card(job.folder) or dict(
        identity=dict(job.identity),
        revisions=[],
        started=time.strftime('%Y-%m-%dT%H:%M:%S%z'),
        wall_seconds=0.0,
        attempts=0,
    )
    card = dict(
        run=job.name,
        **job.facts,
        # without the locations of interpreter and package
        command=['python', *(word.replace(f'{shipped_folder()}/', '') for word in job.command[1:])],
        identity=old['identity'],
        revisions=sorted({*old['revisions'], job.identity['code']}),
        started=old.get('started'),
        wall_seconds=old['wall_seconds'],  # not of attempts that were killed together with this tool
        attempts=old['attempts'] + 1,
    )
    job.folder.mkdir(parents=True, exist_ok=True)
    write_json(job.folder / CARD_FILE, card)
    return card


def end_attempt(job: Job, card: dict[str, Any], seconds: float, **measured: Any) -> None:
    """Record the end of an attempt. The measured ``metrics`` mark the run as finished."""
    wall_seconds = round(card['wall_seconds'] + seconds, 1)
    write_json(job.folder / CARD_FILE, card | measured | {'wall_seconds': wall_seconds})


def remove_run(job: Job) -> None:
    """Remove a run's folder; raise a ConfigError if it holds something that this tool did not write."""
    if _read_card(job.folder) is None:
        raise ConfigError(f'{job.folder}: contains files but {_NO_RECORD}; move them, or choose another --out')
    config = Path(job.facts['config']).name  # MMEngine saves a copy
    remove_run_folder(job.folder, (CARD_FILE, LOG_FILE, *RESULTS, config, _OLD_FILE))


def finished_card(folder: Path) -> dict[str, Any] | None:
    """Read the run card of a finished run. None if it is missing or damaged, or the run has not finished."""
    card = _read_card(folder)
    return card if card is not None and 'metrics' in card else None


def _read_card(folder: Path) -> dict[str, Any] | None:
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return None
    return card if is_card(card) else None


def is_card(card: Any) -> bool:
    """Check if an object read from JSON is a run card."""
    try:
        return (
            _is_identity(card['identity'])
            and all(isinstance(revision, str) for revision in card['revisions'])
            and is_finite_number(card['wall_seconds'])
            and type(card['attempts']) is int
            and all(map(is_number, card.get('metrics', {}).values()))
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _is_identity(value: dict[str, Any]) -> bool:
    return isinstance(value['code'], str) and all(map(_is_identity, value.get('sources', {}).values()))
