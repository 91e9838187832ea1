"""Collect the run cards of a table's rows over seeds and directions."""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dscreid.lab.reproduction.experiments import NOT_REPRODUCIBLE, Experiment, Row
from dscreid.lab.reproduction.gains import (
    REFERENCES,
    Gain,
    Reference,
    World,
    best_reference,
    measured,
    paired_gain,
)
from dscreid.lab.reproduction.identity import revisions_in, run_digest
from dscreid.lab.reproduction.presets import Place
from dscreid.structures import RANKINGS
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
    gain: Gain | None = None  #: over the table's reference, if there is one
    #: ranking (see ``RANKINGS``) → mean mAP over the seeds
    rankings: Mapping[str, float] = {}
    #: logged key → epoch → mean over the runs that logged it in this epoch, in the worlds of all rows with curves
    curves: Mapping[str, Mapping[float, float]] = {}

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
    reference: str | None = None  #: what gains are measured against

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
    found = {direction: [cards_by_seed(place, row, direction, seeds) for row in rows] for direction in directions}
    summaries = []
    for direction, cards in found.items():
        papers, notes = _paper_rows(experiment, direction)
        if place.preset.ranking:
            notes = [*notes, f'All rows are ranked by `{place.preset.ranking}`, chosen for the source model.']
        reference = find_reference(place, [direction], seeds)
        shared = _shared_seeds(rows, cards)
        summary_rows = tuple(
            SummaryRow(
                row,
                {seed: card['metrics'] for seed, card in own.items()},
                papers.get(row.name),
                _gain({direction: own}, reference),
                _rankings([own]),
                _curves([own], shared),
            )
            for row, own in zip(rows, cards, strict=True)
        )
        own_notes = (*_card_notes(cards), *_settings_notes(place, rows, direction, cards))
        all_notes = (*notes, *own_notes, *_seed_notes(summary_rows))
        summaries.append(Summary(title.format(direction), summary_rows, all_notes, reference and reference.name))
    if len(directions) > 1:
        summaries.append(_both(title.format(BOTH), summaries, found, find_reference(place, directions, seeds)))
    return summaries


def _both(
    title: str, summaries: Sequence[Summary], found: Mapping[str, Sequence[_Cards]], reference: Reference | None
) -> Summary:
    """Average the directions; gains are paired over the worlds of all directions."""
    rows = []
    shared = _shared_seeds([row.row for row in summaries[0].rows], *found.values())
    for number, row in enumerate(summaries[0].rows):
        own = {direction: cards[number] for direction, cards in found.items()}
        curves = _curves(own.values(), shared)
        means = _means([summary.rows[number].values for summary in summaries])
        rows.append(SummaryRow(row.row, means, None, _gain(own, reference), _rankings(own.values()), curves))
    notes = [note for summary in summaries for note in summary.notes if note not in _seed_notes(summary.rows)]
    return Summary(title, tuple(rows), tuple(dict.fromkeys([*notes, *_seed_notes(rows)])), reference and reference.name)


def find_reference(place: Place, directions: Sequence[str], seeds: Sequence[int] | None) -> Reference | None:
    """Find the best result without adaptation among the finished runs; None if there is none."""
    candidates = {}
    for name, (row, ranking) in REFERENCES.items():
        cards = {direction: cards_by_seed(place, row, direction, seeds) for direction in directions}
        candidates[name] = by_world(cards, ranking)
    return best_reference(candidates)


def _gain(cards: Mapping[str, _Cards], reference: Reference | None) -> Gain | None:
    return None if reference is None else paired_gain(by_world(cards), reference.values)


def by_world(cards: Mapping[str, _Cards], ranking: str | None = None) -> dict[World, float]:
    """Return the mAP of run cards, which are given by direction and seed, by world; see :func:`measured`."""
    values = {
        (direction, seed): measured(card, ranking) for direction, own in cards.items() for seed, card in own.items()
    }
    return {world: value for world, value in values.items() if value is not None}


def _rankings(cards: Iterable[_Cards]) -> dict[str, float]:
    """Average the mAP of each ranking over all runs, if all have it."""
    runs = [card for own in cards for card in own.values()]
    found = {name: [value for card in runs if (value := measured(card, name)) is not None] for name in RANKINGS}
    return {name: statistics.fmean(values) for name, values in found.items() if values and len(values) == len(runs)}


def _shared_seeds(rows: Sequence[Row], *cards: Sequence[_Cards]) -> set[int]:
    """Return the seeds of all rows that have curves, in each direction; those of any row if they share none.

    Supervised rows do not count if there are others, because they are not drawn.
    """
    seeds = [
        (row.supervised, {seed for seed, card in own.items() if card.get('curves')})
        for one in cards
        for row, own in zip(rows, one, strict=True)
    ]
    found = [own for _, own in seeds if own]
    counted = [own for supervised, own in seeds if own and not supervised] or found
    return set.intersection(*counted) or set.union(*found) if counted else set()


def _curves(cards: Iterable[_Cards], shared: Collection[int]) -> dict[str, dict[float, float]]:
    points: dict[str, dict[float, list[float]]] = {}
    for card in (card for own in cards for seed, card in own.items() if seed in shared):
        for key, values in card.get('curves', {}).items():
            for epoch, value in values:
                points.setdefault(key, {}).setdefault(epoch, []).append(value)
    return {key: {at: statistics.fmean(own[at]) for at in sorted(own)} for key, own in points.items()}


def cards_by_seed(place: Place, row: Row, direction: str, seeds: Sequence[int] | None) -> _Cards:
    """Return the run cards of a row's finished runs by seed; ``seeds`` is None for all that were run."""
    if place.find_config(row.method, direction) is None:
        return {}
    name = place.run_name(row, direction)
    cards = {seed: place.card(direction, seed, name) for seed in (place.seeds(direction) if seeds is None else seeds)}
    return {seed: card for seed, card in cards.items() if card is not None}


def _not_reproducible(rows: Sequence[PaperResult]) -> list[str]:
    """Quote the rows of the paper that cannot be run here."""
    quoted = [
        f'{row.method} (RGB→IR {row.rgb2ir[0]} Rank-1, {row.rgb2ir[1]} mAP; IR→RGB {row.ir2rgb[0]}, {row.ir2rgb[1]})'
        for row in rows
        if row.method in NOT_REPRODUCIBLE
    ]
    return [f'Also in the paper, but not reproducible (no code, no details): {", ".join(quoted)}.'] if quoted else []


def _paper_rows(experiment: Experiment, direction: str) -> tuple[dict[str, PaperResult], list[str]]:
    """Return the paper's results by the name of their row, or a note that the paper has none for this direction."""
    if experiment.table is None:
        return {}, [] if experiment.quotes is None else _not_reproducible(paper_table(experiment.quotes).rows)
    table = paper_table(experiment.table)
    if table.target == TARGETS[direction]:
        return {row.method: row for row in table.rows}, _not_reproducible(table.rows)
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


def _settings_notes(place: Place, rows: Sequence[Row], direction: str, found: Sequence[_Cards]) -> list[str]:
    """Warn of rows that ran with other settings than their config has now."""
    changed = []
    for row, cards in zip(rows, found, strict=True):
        if cards:
            present = run_digest(place.row_config(row, direction), row.untrained)
            changed += [row.name] * any(card['identity']['config'] != present for card in cards.values())
    return [f'Warning: measured with other settings than the config has now: {", ".join(changed)}.'] if changed else []


def _seed_notes(rows: Sequence[SummaryRow]) -> list[str]:
    """Warn if rows have different seeds: differences in difficulty could be mistaken for differences in method."""
    seeds = [set(row.values) for row in rows if row.values]
    if all(each == seeds[0] for each in seeds):
        return []
    shared = ' '.join(map(str, sorted(set.intersection(*seeds))))
    remedy = f'compare them with --seeds {shared}' if shared else 'they have none in common'
    return [f'Warning: the rows have different seeds, so their means cannot be compared; {remedy}.']
