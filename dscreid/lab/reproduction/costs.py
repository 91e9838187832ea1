"""How long the missing runs of a command will take, judged by finished ones."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dscreid.lab.reproduction.jobs import Job, finished_card
from dscreid.lab.reproduction.presets import Place
from dscreid.lab.reproduction.results import FOLDER, read_results
from dscreid.utils.quantities import duration_text


def forecast(jobs: Sequence[Job], finished: int, place: Place, slots: int | None) -> str:
    """Describe in one line how many jobs there are, and how long they will take.

    A run is expected to take as long as the finished runs of its config on this data did in the median, or, if there is
    none, as all finished runs did. Worlds are not counted, because rendering them takes minutes.

    Args:
        jobs: What is to be done.
        finished: Number of runs that need not be repeated.
        place: Where the runs are.
        slots: How many run at a time; None if somebody else decides.
    """
    runs = [job for job in jobs if job.world is None]
    parts = [_plural(len(runs), 'run'), *([_plural(worlds, 'world')] if (worlds := len(jobs) - len(runs)) else [])]
    text = f'{" and ".join(parts)} to do, {finished} finished before'
    if not runs:
        return text
    durations = _durations(known_cards(place))
    if not durations:
        return f'{text}; how long they take is unknown, because no run on {place.preset.name} has finished yet'
    usual = statistics.median(seconds for group in durations.values() for seconds in group)
    total = sum(statistics.median(durations.get(_config_of(job.name), [usual])) for job in runs)
    known = _plural(sum(map(len, durations.values())), 'finished run')
    order = {None: 'in sum', 1: 'one after another'}.get(slots, f'{slots} at a time')
    duration = duration_text(total / min(slots or 1, len(runs)))
    return f'{text}; about {duration} {order}, if they take as long as {known}'


def known_cards(place: Place) -> dict[str, Mapping[str, Any]]:
    """Return the cards of finished runs on the data by name: in ``docs/results``, and those of the place."""
    file = FOLDER / f'{place.preset.name}.json'
    cards: dict[str, Mapping[str, Any]] = dict(read_results(file)) if file.is_file() else {}
    for folder in place.folder.glob('*/seed*/*'):
        if card := finished_card(folder):
            cards[folder.relative_to(place.folder).as_posix()] = card
    return cards


def _durations(cards: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name, card in cards.items():
        found.setdefault(_config_of(name), []).append(card['wall_seconds'])
    return found


def _plural(count: int, word: str) -> str:
    return f'{count} {word}' if count == 1 else f'{count} {word}s'


def _config_of(name: str) -> str:
    return name.rpartition('/')[2]
