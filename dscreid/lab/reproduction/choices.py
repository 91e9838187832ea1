"""How well label-free criteria choose among settings and epochs, in worlds where all of them were run."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dscreid.lab.reproduction.experiments import Experiment, Row
from dscreid.lab.reproduction.gains import MEASURE, World
from dscreid.lab.reproduction.markdown import markdown_table
from dscreid.lab.reproduction.presets import Place
from dscreid.lab.reproduction.summary import cards_by_seed
from dscreid.pseudo_labels.criteria import LABEL_FREE_CRITERIA

_BY_LABELS = 'test labels'
_NOTE = (
    'Candidates are all rows of this table after each epoch, in worlds where every row was run. A criterion chooses '
    'the candidate with its highest value, or, in “last epoch”, the one among the last epochs. Here, mAP is that of '
    "the config's own ranking, which each epoch is validated with."
)


class Candidate(NamedTuple):
    """A row after an epoch: its mAP in [0, 1], and its label-free criteria by name."""

    row: str
    epoch: int
    score: float
    criteria: Mapping[str, float]


def candidates_of(row: str, card: Mapping[str, Any]) -> list[Candidate]:
    """Return the epochs of a run card that were both validated and judged by criteria, in their order."""
    curves = {key: {int(epoch): value for epoch, value in points} for key, points in card.get('curves', {}).items()}
    criteria = {name: curves.get(f'criteria/{name}', {}) for name in LABEL_FREE_CRITERIA}
    found = []
    for epoch, score in sorted(curves.get(MEASURE, {}).items()):
        values = {name: values[epoch] for name, values in criteria.items() if epoch in values}
        if values:
            found.append(Candidate(row, epoch, score, values))
    return found


def choices_among(candidates: Sequence[Candidate]) -> dict[str, Candidate | None]:
    """Return what each way of choosing chooses: the first row's last epoch, each criterion, and the test labels.

    A criterion chooses among all epochs, and among the last ones. Ties go to the earlier candidate. None if no
    candidate has the criterion.
    """
    last = {candidate.row: candidate for candidate in sorted(candidates, key=lambda one: one.epoch)}
    first = candidates[0].row
    choices: dict[str, Candidate | None] = {f'{first}, last epoch': last[first]}
    for name in LABEL_FREE_CRITERIA:
        choices[name] = _highest(candidates, name)
        choices[f'{name}, last epoch'] = _highest([one for one in candidates if one is last[one.row]], name)
    choices[_BY_LABELS] = max(candidates, key=lambda one: one.score)
    return choices


def choice_table(
    place: Place, experiment: Experiment, rows: Sequence[Row], directions: Sequence[str], seeds: Sequence[int] | None
) -> str:
    """Format how far each choice is below the one by test labels, as Markdown; '' if no world has every row."""
    worlds = _worlds(place, rows, directions, seeds)
    if not experiment.chooses or len(rows) < 2 or not worlds:
        return ''
    chosen = {world: choices_among(candidates) for world, candidates in worlds.items()}
    head = ['chosen by', 'mean mAP', 'below the best, mean', 'below the best, at most']
    lines = [[*head, *(f'{direction}, seed {seed}' for direction, seed in worlds)]]
    lines.append(['---', '---:', '---:', '---:', *('---' for _ in worlds)])
    for way in next(iter(chosen.values())):
        picks = [choices[way] for choices in chosen.values()]
        pairs = [
            (pick.score, best.score - pick.score)
            for pick, choices in zip(picks, chosen.values(), strict=True)
            if pick is not None and (best := choices[_BY_LABELS]) is not None
        ]
        if not pairs:
            continue
        scores, gaps = zip(*pairs, strict=True)
        figures = [statistics.fmean(scores), statistics.fmean(gaps), max(gaps)]
        names = ['–' if pick is None else f'{pick.row}, epoch {pick.epoch}' for pick in picks]
        lines.append([way, *(f'{100 * figure:.1f}' for figure in figures), *names])
    return f'{markdown_table(lines)}\n\n{_NOTE}'


def _worlds(
    place: Place, rows: Sequence[Row], directions: Sequence[str], seeds: Sequence[int] | None
) -> dict[World, list[Candidate]]:
    """Return the candidates of each world in which all rows have some."""
    found: dict[World, list[Candidate]] = {}
    for direction in directions:
        cards = [cards_by_seed(place, row, direction, seeds) for row in rows]
        for seed in sorted(set.intersection(*map(set, cards))):
            parts = [candidates_of(row.name, own[seed]) for row, own in zip(rows, cards, strict=True)]
            if all(parts):
                found[direction, seed] = [candidate for part in parts for candidate in part]
    return found


def _highest(candidates: Sequence[Candidate], name: str) -> Candidate | None:
    known = [candidate for candidate in candidates if math.isfinite(candidate.criteria.get(name, math.nan))]
    return max(known, key=lambda one: one.criteria[name], default=None)
