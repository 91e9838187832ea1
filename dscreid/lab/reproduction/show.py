"""Print and write tables and figures of finished runs: Markdown, and pages of the figures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dscreid.apis.config import load_config
from dscreid.apis.report import examples_of
from dscreid.apis.run_folder import FEATURES_FILE
from dscreid.errors import ConfigError
from dscreid.evaluation import load_features
from dscreid.lab.reproduction.choices import choice_table
from dscreid.lab.reproduction.experiments import EXPERIMENTS, Experiment, Row, choose_rows, find_experiment
from dscreid.lab.reproduction.jobs import finished_card
from dscreid.lab.reproduction.markdown import markdown_table
from dscreid.lab.reproduction.pages import table_page
from dscreid.lab.reproduction.presets import Place, environment
from dscreid.lab.reproduction.summary import BOTH, Figure, Summary, SummaryRow, summarize
from dscreid.structures import RANKINGS
from dscreid.visualization import PAPER_FOOTNOTE, ReportRun, RetrievalGallery, TrackletPictures, distance_density
from dscreid.visualization.densities import densities_html
from dscreid.visualization.figures import COLORS, Card, Series, line_chart
from dscreid.visualization.page import page_html, paragraphs_html, part, write_text_atomically
from dscreid.visualization.retrieval import retrieval_html

#: Heading of each column. The mean comes first because methods are ordered by it.
COLUMNS = {
    f'{key}/{metric}': f'{name} {metric}'
    for key, name in (('mean', 'mean'), ('rgb2ir', 'RGB→IR'), ('ir2rgb', 'IR→RGB'))
    for metric in ('Rank-1', 'mAP')
}
_LEGEND = 'Percent, mean ± standard deviation over seeds; the best mean of a column is bold.'
_MIXED_LEGEND = (
    'Percent, mean ± standard deviation over seeds. Rows have different seeds, whose worlds differ in difficulty, so '
    'no mean is bold: compare gains, which are paired by world.'
)
_GAIN_NOTE = (
    'Gains are differences in mean mAP, paired by world (direction and seed), over “{}”, the best result without '
    'adaptation; in brackets, the 95 % interval of Student’s t, then the number of worlds with a gain.'
)
_RANKINGS_NOTE = 'Mean mAP in percent if the same models rank by other features, without a choice per row.'
_SUPERVISED = 'supervised on the target'
_SUPERVISED_NOTE = f'Rows that are “{_SUPERVISED}” used its identity labels; they are never bold beside others.'
_PAPER_NOTE = f'Columns headed “paper” hold the figures of the paper on the real datasets. {PAPER_FOOTNOTE}'


def show_experiment(
    name: str,
    place: Place,
    directions: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    rows: Sequence[str] = (),
) -> tuple[str, list[Path]]:
    """Write an experiment's files and return its table as Markdown together with the paths of the files.

    No ``directions`` selects the paper's, no ``seeds`` all that were run, and no ``rows`` all rows.

    Raises:
        DscreidError: If a name is unknown or no run has finished.
    """
    experiment, place = find_experiment(name), replace(place)  # reads all configs anew
    chosen = choose_rows(experiment, rows)
    directions, name = directions or experiment.directions, experiment.name
    summaries = summarize(place, experiment, chosen, directions, seeds)
    if not any(summary.seeds for summary in summaries):
        raise ConfigError(
            f'no run of {name} has finished in {place.folder}; start them with: dscreid reproduce run {name} '
            f'--data {place.preset.name}'
        )
    parts = [*map(to_markdown, summaries), choice_table(place, experiment, chosen, directions, seeds)]
    text = '\n\n'.join(filter(None, parts)) + '\n'
    files = {f'{name}.md': text}
    for direction, summary in zip([*directions, BOTH], summaries, strict=False):
        file = f'{name}_{"both" if direction == BOTH else direction}.html'
        if summary.seeds and experiment.kind == 'curves':
            files[file] = page_html(summary.title, '', [('mAP', curves_html(summary))])
        elif summary.seeds and experiment.kind == 'table':
            files[file] = table_page(summary, COLUMNS)
        elif summary.seeds and direction != BOTH:
            # only one seed: other seeds have other people, which says nothing about the methods
            seed = next(seed for seed in seeds or sorted(summary.seeds) if seed in summary.seeds)
            files[file] = _figure_page(place, experiment, chosen, direction, seed)
    folder = place.folder / 'tables'
    for file, content in files.items():
        write_text_atomically(folder / file, content)
    return text, [folder / file for file in files]


def list_experiments(place: Place) -> str:
    """List all tables and figures with their rows, and mark rows whose config is missing."""
    lines = []
    for experiment in EXPERIMENTS.values():
        lines.append(f'{experiment.name}: {experiment.title} ({", ".join(experiment.directions)})')
        keys = [set(row.overrides) for row in experiment.rows]
        shared = set.intersection(*keys) if len(keys) > 1 else set()
        for row in experiment.rows:
            found = place.find_config(row.method, experiment.directions[0])
            name = 'config missing' if found is None else str(found.relative_to(place.configs))
            # what distinguishes the row; a setting that it changes in several parts only once
            own = {key: value for key, value in row.overrides.items() if key not in shared}
            settings = {f'{key.rpartition(".")[2]}={value}': None for key, value in own.items()}
            lines.append(f'    {row.name:<40} {name}' + (f' ({", ".join(settings)})' if settings else ''))
    return '\n'.join(lines)


def _figure_page(place: Place, experiment: Experiment, rows: Sequence[Row], direction: str, seed: int) -> str:
    """Return the page of a figure for one direction and seed; raise a DscreidError if a file is missing."""
    runs = []
    for row in rows:
        folder = place.group(direction, seed) / place.run_name(row, direction)
        if card := finished_card(folder):
            runs.append(ReportRun(row.name, card['metrics'], load_features(folder / FEATURES_FILE)))
    data = 'Synthetic data, no real person' if place.preset.world else 'Real data'
    notes = [f'{data}: `{place.preset.name}`, {direction}, seed {seed}.']
    if missing := [row.name for row in rows if row.name not in {run.name for run in runs}]:
        notes.append(f'Not run yet: {", ".join(missing)}.')
    if experiment.kind == 'retrieval':
        with environment(place.environment(direction, seed)):
            examples, dataset = examples_of(load_config(place.config_path(rows[0].method, direction)), runs)
        body = 'Retrieval lists', retrieval_html(RetrievalGallery(examples, TrackletPictures(dataset)))
    else:
        densities = [distance_density(run.name, run.features) for run in runs]
        body = 'Distances', densities_html([density for density in densities if density is not None])
    return page_html(experiment.heading, paragraphs_html(notes), [body])


def curves_html(summary: Summary) -> str:
    """Plot mAP against each swept parameter. Rows whose names start with the same word form one sweep."""
    sweeps: dict[str, list[SummaryRow]] = {}
    for row in summary.rows:
        sweeps.setdefault(row.row.name.partition(' ')[0], []).append(row)
    cards = []
    for name, rows in sweeps.items():
        lines = []
        for key, color in zip(('rgb2ir/mAP', 'ir2rgb/mAP', 'mean/mAP'), COLORS, strict=False):
            points = sorted((row.row.x, 100 * figure.mean) for row in rows if (figure := row.figure(key)))
            if points:
                x, y = np.array(points).T
                lines.append(Series(COLUMNS[key], x, y, color))
        if lines:
            chart = line_chart(lines, x_label=name, from_zero=False)
            cards.append(Card(f'Percent against {name}', chart, f'mAP against {name}', lines))
    return part('curves', stages={'': cards})


def to_markdown(summary: Summary) -> str:
    """Format a summary as a Markdown table with its notes."""
    rows = summary.rows
    comparable = len({tuple(row.values) for row in rows if row.values}) < 2
    notes = [_LEGEND if comparable else _MIXED_LEGEND]
    supervised = [row.row.supervised for row in rows]
    marked = [not (own and not all(supervised)) for own in supervised]
    judged = [may and comparable for may in marked]
    columns = {heading: _column([row.figure(key) for row in rows], judged) for key, heading in COLUMNS.items()}
    if any(supervised):
        notes.append(_SUPERVISED_NOTE)
        columns = {'labels': [_SUPERVISED if own else 'none' for own in supervised], **columns}
    if any(row.gain for row in rows):
        columns['gain mAP'] = [str(row.gain or '–') for row in rows]
        notes.append(_GAIN_NOTE.format(summary.reference))
    columns['seeds'] = [', '.join(map(str, row.values)) or '–' for row in rows]
    if any(row.paper for row in rows):
        notes.append(_PAPER_NOTE)
        for key, heading in COLUMNS.items():
            figures = [Figure(row.paper.metrics[key], None) if row.paper else None for row in rows]
            columns[f'paper, {heading}'] = _column(figures, marked)
    lines = [['Row', *columns], ['---'] + ['---:'] * len(columns)]
    lines += [[row.row.name, *cells] for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True)]
    parts = [f'### {summary.title}', markdown_table(lines), *notes, *summary.notes, _rankings_table(rows)]
    return '\n\n'.join(filter(None, parts))


def _rankings_table(rows: Sequence[SummaryRow]) -> str:
    """Format the mAP of each row under each ranking as a Markdown table; '' if no row has any."""
    columns = [name for name in RANKINGS if any(name in row.rankings for row in rows)]
    if not columns:
        return ''
    lines = [['Ranked by', *columns], ['---'] + ['---:'] * len(columns)]
    for row in rows:
        values = [row.rankings.get(name) for name in columns]
        lines.append([row.row.name, *('–' if value is None else f'{100 * value:.1f}' for value in values)])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + f'\n\n{_RANKINGS_NOTE}'


def _column(figures: Sequence[Figure | None], marked: Sequence[bool]) -> list[str]:
    """Format figures in percent. The best of several ``marked`` ones is bold, judged as printed."""
    values = [None if figure is None else round(100 * figure.mean, 1) for figure in figures]
    known = [value for value, may in zip(values, marked, strict=True) if may and value is not None]
    best = max(known) if len(known) > 1 else None
    bold = [may and value is not None and value == best for value, may in zip(values, marked, strict=True)]
    texts = [f'**{figure}**' if is_best else str(figure) for figure, is_best in zip(figures, bold, strict=True)]
    return ['–' if figure is None else text for figure, text in zip(figures, texts, strict=True)]
