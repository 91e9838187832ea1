"""Collect the run cards of a table's rows over seeds and directions."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dscreid.errors import ConfigError
from dscreid.lab.reproduction.config_reader import ConfigReader
from dscreid.lab.reproduction.experiments import Experiment, Row
from dscreid.lab.reproduction.place import Place
from dscreid.lab.reproduction.records import CARD_FILE, read_record
from dscreid.visualization import PaperResult, paper_table

#: Protocol of the target dataset, by direction.
TARGETS = {'bupt2hitsz': 'hitsz_vcm', 'hitsz2bupt': 'bupt_campus'}
BOTH = 'mean of both directions'


@dataclass(frozen=True)
class Figure:
    """Mean and spread of a metric over seeds, in [0, 1].

    Attributes:
        mean: Mean.
        deviation: Sample standard deviation, or None for a single seed.
    """

    mean: float
    deviation: float | None


@dataclass(frozen=True)
class SummaryRow:
    """One row of a table.

    Attributes:
        row: Definition of the row.
        values: Seed → metrics in [0, 1].
        paper: The paper's results for this row on this target, or None.
    """

    row: Row
    values: Mapping[int, Mapping[str, float]]
    paper: PaperResult | None = None

    def figure(self, key: str) -> Figure | None:
        """Aggregate a metric over the seeds. None if no seed has it."""
        values = [
            metrics[key] for metrics in self.values.values() if math.isfinite(metrics.get(key, math.nan))
        ]
        if not values:
            return None
        return Figure(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Summary:
    """One table of results.

    Attributes:
        title: What it compares, where, and whether the data is synthetic.
        rows: Its rows, with or without results.
        notes: Sentences below the table.
    """

    title: str
    rows: tuple[SummaryRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def has_results(self) -> bool:
        """Whether any row has a finished run."""
        return any(row.values for row in self.rows)

    def best(self, key: str) -> float | None:
        """Return the highest mean of a metric as printed (percent, one decimal). None for fewer than two values."""
        figures = [row.figure(key) for row in self.rows]
        printed = [round(100 * figure.mean, 1) for figure in figures if figure is not None]
        return max(printed) if len(printed) > 1 else None


def summarise(
    place: Place,
    experiment: Experiment,
    rows: Sequence[Row],
    directions: Sequence[str],
    seeds: Sequence[int] | None,
) -> list[Summary]:
    """Summarize each direction and, if there are several, their mean.

    Args:
        place: Where the runs are stored.
        experiment: The table.
        rows: Rows to show.
        directions: Directions to show.
        seeds: Seeds to show. None for all seeds that were run.
    """
    reader = ConfigReader(place)
    cards = {direction: _cards(place, reader, rows, direction, seeds) for direction in directions}
    summaries = [
        _direction_summary(place, experiment, rows, direction, cards[direction]) for direction in directions
    ]
    if len(directions) > 1:
        summaries.append(_mean_summary(place, experiment, rows, summaries))
    return summaries


def seeds_of(place: Place, direction: str) -> tuple[int, ...]:
    """Return the seeds of a direction that have a folder, in ascending order."""
    folders = (place.folder / direction).glob('seed*')
    return tuple(sorted(int(path.name[4:]) for path in folders if path.name[4:].isdigit()))


def _cards(
    place: Place, reader: ConfigReader, rows: Sequence[Row], direction: str, seeds: Sequence[int] | None
) -> list[dict[int, dict[str, Any]]]:
    """Read the run cards of each row, by seed."""
    seeds = seeds_of(place, direction) if seeds is None else seeds
    found = []
    for row in rows:
        try:
            name = reader.run_name(row, direction)
        except ConfigError:  # a method without a config has no runs
            found.append({})
            continue
        cards = {seed: read_record(place.group(direction, seed) / name / CARD_FILE) for seed in seeds}
        found.append({seed: card for seed, card in cards.items() if card is not None})
    return found


def _direction_summary(
    place: Place, experiment: Experiment, rows: Sequence[Row], direction: str, cards: Sequence[Mapping]
) -> Summary:
    papers = _paper_rows(experiment, direction)
    summary_rows = tuple(
        SummaryRow(row, {seed: card['metrics'] for seed, card in found.items()}, papers.get(row.paper))
        for row, found in zip(rows, cards, strict=True)
    )
    notes = (*_direction_notes(experiment, direction), *_notes(cards), *_seed_notes(summary_rows))
    return Summary(_title(place, experiment, direction), summary_rows, notes)


def _mean_summary(
    place: Place, experiment: Experiment, rows: Sequence[Row], summaries: Sequence[Summary]
) -> Summary:
    """Average the directions for each seed that was run in all of them."""
    merged = []
    for number, row in enumerate(rows):
        per_direction = [summary.rows[number].values for summary in summaries]
        shared = sorted(set.intersection(*(set(values) for values in per_direction)))
        means = {seed: _mean_metrics([values[seed] for values in per_direction]) for seed in shared}
        merged.append(SummaryRow(row, means))
    notes = [note for summary in summaries for note in summary.notes if note not in _seed_notes(summary.rows)]
    return Summary(
        _title(place, experiment, BOTH), tuple(merged), tuple(dict.fromkeys([*notes, *_seed_notes(merged)]))
    )


def _mean_metrics(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    shared = set.intersection(*(set(one) for one in metrics))
    return {key: statistics.fmean(one[key] for one in metrics) for key in metrics[0] if key in shared}


def _paper_rows(experiment: Experiment, direction: str) -> dict[str, PaperResult]:
    """Return the paper's rows by name, if its table has the same target as this direction."""
    if experiment.table is None:
        return {}
    table = paper_table(experiment.table)
    return {row.method: row for row in table.rows} if table.target == TARGETS[direction] else {}


def _direction_notes(experiment: Experiment, direction: str) -> list[str]:
    """Return a note if the paper's table is for another direction, so its results are not shown."""
    if experiment.table is None or paper_table(experiment.table).target == TARGETS[direction]:
        return []
    return [
        f'The paper has this table for {", ".join(experiment.directions)} only, so its figures are not shown here.'
    ]


def _title(place: Place, experiment: Experiment, where: str) -> str:
    data = f'SYNTHETIC worlds ({place.preset.name})' if place.preset.synthetic else 'real data'
    return f'{experiment.heading} · {where} · {data}'


def _notes(cards: Iterable[Mapping[int, Mapping[str, Any]]]) -> list[str]:
    """Return the warnings a reader needs before comparing rows."""
    cards = [card for found in cards for card in found.values()]
    revisions = {
        revision for card in cards for revision in (*card['revisions'], *_revisions(card['identity']))
    }
    notes = []
    if len(revisions) > 1:
        notes.append(
            f'Warning: these rows mix {len(revisions)} code revisions ({", ".join(sorted(revisions))}).'
        )
    if unmeasured := sum(not card['metrics'] for card in cards):
        notes.append(f'{unmeasured} of {len(cards)} runs were not evaluated; their metrics.json says why.')
    data: dict[int, set[str]] = {}
    for card in cards:
        data.setdefault(card['seed'], set()).update(_target_data(card['identity']))
    notes += [
        f'Warning: the rows of seed {seed} were tested on different data; they cannot be compared.'
        for seed, fingerprints in data.items()
        if len(fingerprints) > 1
    ]
    if dirty := sum(bool((card.get('git') or {}).get('dirty')) for card in cards):
        notes.append(f'{dirty} of {len(cards)} runs were made with uncommitted changes in the checkout.')
    return notes


def _seed_notes(rows: Sequence[SummaryRow]) -> list[str]:
    """Warn if rows have different seeds: differences in difficulty could be mistaken for differences in method."""
    seeds = [set(row.values) for row in rows if row.values]
    if all(each == seeds[0] for each in seeds):
        return []
    shared = ' '.join(map(str, sorted(set.intersection(*seeds))))
    remedy = f'--seeds {shared} shows what can be' if shared else 'they have none in common'
    return [f'Warning: not all rows were run with the same seeds, their means cannot be compared; {remedy}.']


def _revisions(identity: Mapping[str, Any]) -> set[str]:
    inner = (_revisions(source) for source in identity['sources'].values())
    return {identity['code']}.union(*inner)


def _target_data(identity: Mapping[str, Any]) -> set[str]:
    """Return the fingerprint of the test data: the world's, or that of the test split."""
    data = identity['data']
    return {data.get('world') or data['test']}
