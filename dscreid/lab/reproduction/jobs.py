"""Jobs of an experiment, and the records that they leave in their folders."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dscreid.apis.run_folder import FEATURES_FILE, METRICS_FILE, remove_run_folder
from dscreid.apis.test import write_json
from dscreid.errors import ConfigError
from dscreid.lab.reproduction.identity import Identity, differences
from dscreid.lab.synthetic import WorldSpec, is_complete
from dscreid.utils.records import is_finite_number, is_number
from dscreid.utils.shipped import shipped_folder

#: Files in the folder of a run. The card is written last and marks the run as finished.
RESULTS = (METRICS_FILE, FEATURES_FILE)
START_FILE, CARD_FILE, LOG_FILE = 'run_start.json', 'run_card.json', 'reproduce.log'
_NO_RECORD = 'no record of this tool'


@dataclass(frozen=True)
class Job:
    """One process: render a world, train and test a run, or rank features again."""

    name: str  # unique name, such as bupt2hitsz/seed1/dsc_demo
    folder: Path  # the run's work directory, or the folder of a world
    command: tuple[str, ...]
    # environment variables in addition to those of this process
    environment: Mapping[str, str] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()  # names of the jobs that must have finished
    identity: Identity = field(default_factory=dict)  # what the result depends on; empty for a world
    facts: Mapping[str, Any] = field(default_factory=dict)  # entries of the run card that are not measured
    outputs: tuple[str, ...] = ()  # files that a finished job leaves in its folder
    world: WorldSpec | None = None  # the world to render, or None for a run
    max_epochs: int = 0  # number of training epochs; 0 if nothing is trained

    @property
    def log(self) -> Path:
        """The job's log file. A world's log is next to its folder, which only the renderer may change."""
        return self.folder / LOG_FILE if self.world is None else self.folder.with_name(f'{self.folder.name}.log')


def is_finished(job: Job) -> bool:
    """Check if a job has left its results. They may still be stale."""
    if job.world is not None:
        return is_complete(job.folder, job.world)
    files = [job.folder / name for name in job.outputs]
    return read_record(job.folder / CARD_FILE) is not None and all(path.is_file() for path in files)


def stale_reasons(job: Job, accept_revision: bool = False) -> list[str]:
    """Describe how the content of a job's folder differs from what the job makes. Empty if it does not."""
    if job.world is not None or not job.folder.is_dir() or not any(job.folder.iterdir()):
        return []
    record = _record(job)
    if record is None:
        return [_NO_RECORD]
    return [f'another {part}' for part in differences(record['identity'], job.identity, accept_revision)]


def begin_attempt(job: Job) -> None:
    """Record the start of an attempt and remove an old run card, which is no longer valid."""
    job.folder.mkdir(parents=True, exist_ok=True)
    record = _start_record(job)
    started, revision = time.strftime('%Y-%m-%dT%H:%M:%S%z'), job.identity['code']
    record['attempts'].append(dict(started=started, revision=revision, seconds=None, exit_code=None))
    write_json(job.folder / START_FILE, record)
    (job.folder / CARD_FILE).unlink(missing_ok=True)


def end_attempt(job: Job, seconds: float, exit_code: int) -> None:
    """Record how the last attempt ended."""
    record = _start_record(job)
    record['attempts'][-1].update(seconds=round(seconds, 1), exit_code=exit_code)
    write_json(job.folder / START_FILE, record)


def write_card(job: Job, **measured: Any) -> None:
    """Write the run card with the measured entries, which marks a run as finished."""
    record = _start_record(job)
    attempts = record['attempts']
    known = [attempt['seconds'] for attempt in attempts if attempt['seconds'] is not None]
    card = dict(
        run=job.name,
        **job.facts,
        identity=record['identity'],
        revisions=sorted({attempt['revision'] for attempt in attempts}),
        # without the locations of interpreter and package
        command=['python', *(word.replace(f'{shipped_folder()}/', '') for word in job.command[1:])],
        started=attempts[0]['started'],
        wall_seconds=round(sum(known), 1),
        attempts=len(attempts),
        # killed together with this tool, and not in wall_seconds
        unmeasured_attempts=len(attempts) - len(known),
        **measured,
    )
    write_json(job.folder / CARD_FILE, card)


def remove_run(job: Job) -> None:
    """Remove a run's folder; raise a ConfigError if it holds something that this tool did not write."""
    if _record(job) is None:
        raise ConfigError(f'{job.folder}: contains files but {_NO_RECORD}; move them, or choose another --out')
    config = Path(job.facts['config']).name  # MMEngine saves a copy
    remove_run_folder(job.folder, (START_FILE, CARD_FILE, LOG_FILE, *job.outputs, config))


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a file named ``START_FILE`` or ``CARD_FILE``. None if it is missing or damaged."""
    check = _is_card if path.name == CARD_FILE else _is_start
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        return content if _is_identity(content['identity']) and check(content) else None
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def _record(job: Job) -> dict[str, Any] | None:
    return read_record(job.folder / CARD_FILE) or read_record(job.folder / START_FILE)


def _start_record(job: Job) -> dict[str, Any]:
    # the identity of the first attempt: a later one may use another, accepted revision
    return read_record(job.folder / START_FILE) or dict(identity=dict(job.identity), attempts=[])


def _is_identity(value: dict[str, Any]) -> bool:
    return isinstance(value['code'], str) and all(map(_is_identity, value.get('sources', {}).values()))


def _is_card(content: dict[str, Any]) -> bool:
    texts = all(isinstance(revision, str) for revision in content['revisions'])
    return texts and all(map(is_number, content['metrics'].values())) and isinstance(content.get('git'), dict | None)


def _is_start(content: dict[str, Any]) -> bool:
    attempts = content['attempts']
    texts = all(isinstance(attempt[key], str) for attempt in attempts for key in ('started', 'revision'))
    times = all(attempt['seconds'] is None or is_finite_number(attempt['seconds']) for attempt in attempts)
    return isinstance(attempts, list) and texts and times
