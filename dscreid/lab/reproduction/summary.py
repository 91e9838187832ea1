"""Collect the run cards of a table's rows over seeds and directions."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dscreid.lab.reproduction.experiments import Experiment, Row
from dscreid.lab.reproduction.identity import revisions_in
from dscreid.lab.reproduction.jobs import finished_card
from dscreid.lab.reproduction.presets import Place
from dscreid.visualization import PaperResult, paper_table

#: Protocol of the target dataset, by direction.
TARGETS = {'bupt2hitsz': 'hitsz_vcm', 'hitsz2bupt': 'bupt_campus'}
BOTH = 'mean of both directions'
#: Run cards and metrics of a row by seed.
_Cards = Mapping[int, Mapping[str, Any]]
_Metrics = Mapping[int, Mapping[str, float]]


class Figure(NamedTuple):
    """Mean and sample standard deviation of a metric over seeds, in [0, 1]. A single seed has no deviation."""

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        spread = '' if self.deviation is None else f' ± {100 * self.deviation:.1f}'
        return f'{100 * self.mean:.1f}{spread}'


class SummaryRow(NamedTuple):
    """One row of a table: seed → metrics in [0, 1], and the paper's results for this row on this target, or None."""

    row: Row
    values: _Metrics
    paper: PaperResult | None = None

    def figure(self, key: str) -> Figure | None:
        """Aggregate a metric over the seeds. None if no seed has it."""
        values = [value for metrics in self.values.values() if math.isfinite(value := metrics.get(key, math.nan))]
        if not values:
            return None
        return Figure(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


class Summary(NamedTuple):
    """One table of results, whose title says what it compares and whether the data is synthetic, and its notes."""

    title: str
    rows: tuple[SummaryRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def seeds(self) -> set[int]:
        """Seeds of all finished runs."""
        return {seed for row in self.rows for seed in row.values}


def summarize(
    place: Place, experiment: Experiment, rows: Sequence[Row], directions: Sequence[str], seeds: Sequence[int] | None
) -> list[Summary]:
    """Summarize each direction and, if there are several, their mean. ``seeds`` is None for all that were run."""
    title = f'{experiment.heading} · {{}} · '
    title += f'SYNTHETIC worlds ({place.preset.name})' if place.preset.world else 'real data'
    summaries = []
    for direction in directions:
        cards = [_cards(place, row, direction, seeds) for row in rows]
        papers, notes = _paper_rows(experiment, direction)
        summary_rows = tuple(
            SummaryRow(row, {seed: card['metrics'] for seed, card in found.items()}, papers.get(row.name))
            for row, found in zip(rows, cards, strict=True)
        )
        notes += _card_notes(cards)
        summaries.append(Summary(title.format(direction), summary_rows, (*notes, *_seed_notes(summary_rows))))
    if len(directions) > 1:
        means = tuple(
            SummaryRow(row, _means([summary.rows[number].values for summary in summaries]))
            for number, row in enumerate(rows)
        )
        notes = [note for summary in summaries for note in summary.notes if note not in _seed_notes(summary.rows)]
        summaries.append(Summary(title.format(BOTH), means, tuple(dict.fromkeys([*notes, *_seed_notes(means)]))))
    return summaries


def _cards(place: Place, row: Row, direction: str, seeds: Sequence[int] | None) -> _Cards:
    if place.find_config(row.method, direction) is None:
        return {}
    if seeds is None:
        names = [path.name.removeprefix('seed') for path in (place.folder / direction).glob('seed*')]
        seeds = sorted(int(name) for name in names if name.isdigit())
    name = place.run_name(row, direction)
    cards = {seed: finished_card(place.group(direction, seed) / name) for seed in seeds}
    return {seed: card for seed, card in cards.items() if card is not None}


def _paper_rows(experiment: Experiment, direction: str) -> tuple[dict[str, PaperResult], list[str]]:
    """Return the paper's results by the name of their row, or a note that the paper has none for this direction."""
    if experiment.table is None:
        return {}, []
    table = paper_table(experiment.table)
    if table.target == TARGETS[direction]:
        return {row.method: row for row in table.rows}, []
    return {}, [f'The paper has this table only for {", ".join(experiment.directions)}.']


def _means(directions: Sequence[_Metrics]) -> _Metrics:
    """Average the directions for each seed that was run in all of them."""
    means = {}
    for seed in sorted(set.intersection(*(set(values) for values in directions))):
        metrics = [values[seed] for values in directions]
        keys = [key for key in metrics[0] if all(key in one for one in metrics)]
        means[seed] = {key: statistics.fmean(one[key] for one in metrics) for key in keys}
    return means


def _card_notes(found: Sequence[_Cards]) -> list[str]:
    """Return the warnings a reader needs before comparing rows."""
    cards = [card for row in found for card in row.values()]
    revisions = {revision for card in cards for revision in (*card['revisions'], *revisions_in(card['identity']))}
    notes = []
    if len(revisions) > 1:
        notes.append(f'Warning: these rows mix {len(revisions)} code revisions ({", ".join(sorted(revisions))}).')
    if unmeasured := sum(not card['metrics'] for card in cards):
        notes.append(f'{unmeasured} of {len(cards)} runs were not evaluated; their metrics.json says why.')
    for seed in dict.fromkeys(seed for row in found for seed in row):
        data = [row[seed]['identity']['data'] for row in found if seed in row]
        # the world, or the test split
        if len({part.get('world') or part['test'] for part in data}) > 1:
            notes.append(f'Warning: the rows of seed {seed} were tested on different data; do not compare them.')
    return notes


def _seed_notes(rows: Sequence[SummaryRow]) -> list[str]:
    """Warn if rows have different seeds: differences in difficulty could be mistaken for differences in method."""
    seeds = [set(row.values) for row in rows if row.values]
    if all(each == seeds[0] for each in seeds):
        return []
    shared = ' '.join(map(str, sorted(set.intersection(*seeds))))
    remedy = f'compare them with --seeds {shared}' if shared else 'they have none in common'
    return [f'Warning: the rows have different seeds, so their means cannot be compared; {remedy}.']
