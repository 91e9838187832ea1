"""A page of documentation from a file of results: what they say of claims, every table with runs, and pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from dscreid.lab.reproduction.choices import choice_table
from dscreid.lab.reproduction.claims import claims_markdown, judge_claims
from dscreid.lab.reproduction.experiments import EXPERIMENTS, Experiment, Row
from dscreid.lab.reproduction.pages import DRAWN, gain_whiskers, row_curves
from dscreid.lab.reproduction.presets import Place
from dscreid.lab.reproduction.show import to_markdown
from dscreid.lab.reproduction.summary import TARGETS, Summary, cards_by_seed, summarize
from dscreid.utils.files import replacing
from dscreid.visualization.curves import curve_panels
from dscreid.visualization.figures import save_figure, whisker_figure

_REFERENCES = ('cd', 'adabn')
_CLAIMS_NOTE = (
    'A claim agrees or disagrees only if the 95 % interval of the paired differences excludes zero; in brackets the '
    'interval, then the number of worlds in which the difference has the sign of the claim. A claim about a share of a '
    'gain cannot be told unless that gain is certain. '
)


def write_result_page(place: Place, file: Path) -> Path:
    """Write the page of a place's results, with its pictures beside it, and return its path: ``file`` as ``.md``.

    Pictures of an earlier page of the same file are removed.
    """
    page = file.with_suffix('.md')
    directions = [direction for direction in TARGETS if place.seeds(direction)]
    for old in page.parent.glob(f'{file.stem}_*.svg'):
        old.unlink()
    parts = [_head(place, file)]
    judgments = judge_claims(place, directions, _seeds(place, directions, tuning=False))
    if any(judgment.gain for judgment in judgments):
        parts += ['## Claims', _CLAIMS_NOTE + _left_out(place), claims_markdown(judgments)]
    for experiment, have, rows in _tables(place, directions):
        seeds = _seeds(place, directions, experiment.tuning)
        for number, summary in enumerate(summarize(place, experiment, rows, have, seeds)):
            name = f'{file.stem}_{experiment.name}_{[*have, "both"][number]}'
            parts += [to_markdown(summary).replace('### ', '## ', 1), *_pictures(summary, page.with_name(name))]
        parts += filter(None, [choice_table(place, experiment, rows, have, seeds)])
    with replacing(page) as temporary:
        temporary.write_text('\n\n'.join(parts) + '\n', encoding='utf-8')
    return page


def _tables(place: Place, directions: Sequence[str]) -> Iterator[tuple[Experiment, list[str], tuple[Row, ...]]]:
    """Yield each table that compares something which no earlier one does, with its directions and rows with runs."""
    told: list[tuple[bool, list[str], set[str]]] = []
    for experiment in EXPERIMENTS.values():
        seeds = _seeds(place, directions, experiment.tuning)
        rows = _rows_with_runs(place, experiment, directions, seeds)
        # Tables 1 and 2 compare the same methods, each in its own direction
        shown = [one for one in directions if experiment.table not in (1, 2) or one in experiment.directions]
        have = [one for one in shown if any(cards_by_seed(place, row, one, seeds) for row in rows)]
        methods = {'+'.join(filter(None, (row.method, row.tag))) for row in rows}
        repeats = any(
            (experiment.tuning, have) == (tuning, earlier) and methods <= known for tuning, earlier, known in told
        )
        if experiment.kind == 'table' and have and len(methods.difference(_REFERENCES)) > 1 and not repeats:
            told.append((experiment.tuning, have, methods))
            yield experiment, have, rows


def _head(place: Place, file: Path) -> str:
    name = place.preset.name
    kind = 'Synthetic: rendered people, and a small encoder.' if place.preset.world else 'Real data.'
    return (
        f'# Results on `{name}`\n\n{kind} `dscreid reproduce collect --data {name}` made this page from the runs in '
        f'[{file.name}]({file.name}); do not edit it. Rows without runs are left out.'
        + (place.preset.note and f'\n\n{place.preset.note}')
    )


def _left_out(place: Place) -> str:
    seeds = place.preset.tuning_seeds
    if not seeds:
        return ''
    subject, verb = ('Seed', 'is') if len(seeds) == 1 else ('Seeds', 'are')
    return f'{subject} {", ".join(map(str, seeds))}, on which settings were chosen, {verb} left out.'


def _seeds(place: Place, directions: Sequence[str], tuning: bool) -> list[int]:
    """Return the seeds of all runs: those that settings were chosen on, or the others."""
    known = sorted({seed for direction in directions for seed in place.seeds(direction)})
    return [seed for seed in known if (seed in place.preset.tuning_seeds) == tuning]


def _rows_with_runs(
    place: Place, experiment: Experiment, directions: Sequence[str], seeds: Sequence[int]
) -> tuple[Row, ...]:
    return tuple(
        row for row in experiment.rows if any(cards_by_seed(place, row, direction, seeds) for direction in directions)
    )


def _pictures(summary: Summary, stem: Path) -> Iterator[str]:
    """Save the pictures of a table, and return the Markdown that shows them."""
    if whiskers := gain_whiskers(summary):
        path = stem.with_name(f'{stem.name}_gains.svg')
        save_figure(whisker_figure(whiskers, x_label='gain in mAP'), path)
        yield f'![Gains with their intervals, and the gain in each world]({path.name})'
    if picture := curve_panels(row_curves(summary), DRAWN):
        path = stem.with_name(f'{stem.name}_epochs.svg')
        save_figure(picture, path)
        yield f'![Quality of labels, and mAP, by epoch]({path.name})'
