"""Records of a run in addition to its results: how it was started, its attempts, and its final run card."""

import json
import sys
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from dscreid.apis.run_folder import remove_run_folder
from dscreid.apis.test import write_json
from dscreid.errors import ConfigError
from dscreid.lab.reproduction.identity import differences
from dscreid.lab.reproduction.jobs import LOG_FILE, Job
from dscreid.lab.synthetic import WorldSpec, is_complete
from dscreid.utils.records import is_finite_number, is_number
from dscreid.utils.shipped import shipped_folder

START_FILE, CARD_FILE = 'run_start.json', 'run_card.json'


class State(Enum):
    """State of a job on disk."""

    MISSING = 'missing'
    UNFINISHED = 'unfinished'
    FINISHED = 'finished'
    STALE = 'stale'


@dataclass(frozen=True)
class Inspection:
    """The state of a job's folder.

    Attributes:
        state: State of the job.
        reasons: Why a stale run differs from the one that would be made now.
    """

    state: State
    reasons: tuple[str, ...] = ()


def inspect_job(job: Job, accept_revision: bool = False) -> Inspection:
    """Determine the state of a job from the files in its folder.

    Args:
        job: The job.
        accept_revision: Whether to accept runs of other code revisions.
    """
    if job.world is not None:
        return Inspection(
            State.FINISHED if is_complete(job.folder, WorldSpec(**job.world)) else State.MISSING
        )
    if not job.folder.is_dir() or not any(job.folder.iterdir()):
        return Inspection(State.MISSING)
    card = read_record(job.folder / CARD_FILE)
    record = card or read_record(job.folder / START_FILE)
    if record is None:
        return Inspection(State.STALE, ('it holds files but no record of this tool',))
    if reasons := differences(record['identity'], job.identity, accept_revision):
        return Inspection(State.STALE, tuple(reasons))
    complete = card is not None and all((job.folder / name).is_file() for name in job.outputs)
    return Inspection(State.FINISHED if complete else State.UNFINISHED)


def begin_attempt(job: Job) -> None:
    """Record the start of an attempt and remove an old run card, which is no longer valid."""
    job.folder.mkdir(parents=True, exist_ok=True)
    record = read_record(job.folder / START_FILE) or dict(identity=dict(job.identity), attempts=[])
    # Keep the identity of the first attempt: a later one may use another, accepted revision.
    started, revision = time.strftime('%Y-%m-%dT%H:%M:%S%z'), job.identity['code']
    record['attempts'].append(dict(started=started, revision=revision, seconds=None, exit_code=None))
    write_json(job.folder / START_FILE, record)
    (job.folder / CARD_FILE).unlink(missing_ok=True)


def end_attempt(job: Job, seconds: float, exit_code: int) -> None:
    """Record how the last attempt ended."""
    record = read_record(job.folder / START_FILE)
    record['attempts'][-1].update(seconds=round(seconds, 1), exit_code=exit_code)
    write_json(job.folder / START_FILE, record)


def write_card(job: Job, measured: dict[str, Any]) -> None:
    """Write the run card, which marks a run as finished.

    Args:
        job: The run.
        measured: Results of the run, such as its metrics.
    """
    record = read_record(job.folder / START_FILE)
    attempts = record['attempts']
    known = [attempt['seconds'] for attempt in attempts if attempt.get('seconds') is not None]
    card = dict(
        run=job.name,
        **job.facts,
        identity=record['identity'],
        revisions=sorted({attempt['revision'] for attempt in attempts}),
        command=[_portable(word) for word in job.command],
        started=attempts[0]['started'],
        wall_seconds=round(sum(known), 1),
        attempts=len(attempts),
        # attempts killed together with this tool: their time is unknown and not in wall_seconds
        unmeasured_attempts=len(attempts) - len(known),
        **measured,
    )
    write_json(job.folder / CARD_FILE, card)


def _portable(word: str) -> str:
    """Remove the locations of interpreter and package, which differ between machines, from a word of a command."""
    return 'python' if word == sys.executable else word.removeprefix(f'{shipped_folder()}/')


def remove_run(job: Job) -> None:
    """Remove a run's folder so that it can be made again.

    Raises:
        ConfigError: If the folder holds something that this tool did not write.
    """
    if not job.folder.is_dir():
        return
    if read_record(job.folder / CARD_FILE) is None and read_record(job.folder / START_FILE) is None:
        raise ConfigError(
            f'{job.folder}: holds files but no record of this tool; move them, or choose another --out'
        )
    configs = [Path(word).name for word in job.command if word.endswith('.py')]  # MMEngine saves a copy
    remove_run_folder(job.folder, (START_FILE, CARD_FILE, LOG_FILE, *job.outputs, *configs))


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a record. None if it is missing or unreadable, for example after a system crash.

    Args:
        path: A file named ``START_FILE`` or ``CARD_FILE``. The name decides which content is valid.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not _is_identity(content.get('identity')):
        return None
    return content if (_is_card if path.name == CARD_FILE else _is_start)(content) else None


def _is_identity(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get('code'), str):
        return False
    sources = value.get('sources', {})
    return isinstance(sources, dict) and all(_is_identity(source) for source in sources.values())


def _is_start(content: dict[str, Any]) -> bool:
    attempts = content.get('attempts')
    return isinstance(attempts, list) and all(
        isinstance(attempt, dict)
        and isinstance(attempt.get('started'), str)
        and isinstance(attempt.get('revision'), str)
        and 'seconds' in attempt
        and (attempt['seconds'] is None or is_finite_number(attempt['seconds']))
        for attempt in attempts
    )


def _is_card(content: dict[str, Any]) -> bool:
    metrics, revisions = content.get('metrics'), content.get('revisions')
    return (
        isinstance(metrics, dict)
        and all(is_number(value) for value in metrics.values())
        and isinstance(revisions, list)
        and all(isinstance(revision, str) for revision in revisions)
        and isinstance(content.get('git'), dict | None)
    )
