"""The table of results, on the console and in the report."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from dscreid.evaluation import FeatureTable
from dscreid.visualization.paper_tables import PaperTable, paper_reference

CROSS_MODAL = ('rgb2ir', 'ir2rgb')
DIRECTION_NAMES = {
    'rgb2ir': 'RGB→IR',
    'ir2rgb': 'IR→RGB',
    'rgb2rgb': 'RGB→RGB',
    'ir2ir': 'IR→IR',
    'mean': 'mean',
}


@dataclass(frozen=True)
class ReportRun:
    """One row of the table.

    Attributes:
        name: What the row shows, such as ``'CD (source model, no adaptation)'``.
        metrics: ``ReIDMetric``'s flat dict in [0, 1]: ``'rgb2ir/mAP'``, ``'rgb2ir/Rank-1'``, …
        features: What ``dscreid.evaluation.load_features`` gives, for pictures and densities, or None.
        upper_bound: The run used the target's true labels: it is shown, but never marked as the best.
    """

    name: str
    metrics: Mapping[str, float]
    features: FeatureTable | None = field(default=None, repr=False)
    upper_bound: bool = False


def directions_of(runs: Sequence[ReportRun]) -> list[str]:
    """Directions for which a run reports mAP, the cross-modal ones first and without the mean."""
    found = {key.partition('/')[0] for run in runs for key in run.metrics if key.endswith('/mAP')} - {'mean'}
    known = [name for name in DIRECTION_NAMES if name in found]
    return known + sorted(found - set(known))


def columns_of(runs: Sequence[ReportRun]) -> list[str]:
    """Figures reported of a direction: ``Rank-k`` by ascending k, then ``mAP`` and ``mINP``."""
    names = {key.partition('/')[2] for run in runs for key in run.metrics}
    ranks = sorted(int(match[1]) for name in names if (match := re.fullmatch(r'Rank-(\d+)', name)))
    return [f'Rank-{rank}' for rank in ranks] + [name for name in ('mAP', 'mINP') if name in names]


def direction_name(direction: str) -> str:
    """A direction as the paper writes it: ``'rgb2ir'`` becomes ``'RGB→IR'``."""
    return DIRECTION_NAMES.get(direction, direction)


def best_value(runs: Sequence[ReportRun], key: str) -> float | None:
    """Highest finite value of a metric as it is printed (percent, one decimal), upper bounds left aside.

    None when fewer than two runs compete: a single run is not the best of anything.
    """
    values = [_printed(run.metrics.get(key)) for run in runs if not run.upper_bound]
    values = [value for value in values if value is not None]
    return max(values) if len(values) > 1 else None


def gain(run: ReportRun, first: ReportRun, key: str) -> float | None:
    """Percentage points by which a run exceeds the first one, or None where either lacks the metric."""
    values = [one.metrics.get(key) for one in (run, first)]
    if run is first or any(value is None or not math.isfinite(value) for value in values):
        return None
    return 100 * (values[0] - values[1])


def format_results_table(runs: Sequence[ReportRun], *, target: str | None = None) -> str:
    """The results as plain text for the console: a line per run and direction, percent with one decimal.

    The best figure of a column is marked with ``*``; the last column is the gain in mAP over the first run.

    Args:
        runs: Rows; the first is what the others are compared with.
        target: Name of the real dataset, to print the paper's own figures below; None for synthetic data.

    Returns:
        Lines of at most 80 characters (unless names are longer), without a trailing newline.
    """
    if not runs:
        return 'No run has been evaluated.'
    columns = columns_of(runs)
    head = ' ' * 9 + ''.join(f'{column:>9}' for column in columns)
    lines = [head + (f'{"gain mAP":>11}' if len(runs) > 1 else '')]
    for run in runs:
        lines += [run.name, *_console_lines(run, runs, columns)]
    if target is not None:
        lines += ['', *_paper_lines(paper_reference(target))]
    return '\n'.join(line.rstrip() for line in lines)


def results_table_html(
    runs: Sequence[ReportRun], *, directions: Sequence[str] = CROSS_MODAL, target: str | None = None
) -> str:
    """The results as an HTML table: a row per run, the directions side by side.

    Args:
        runs: Rows; the first is what the others are compared with.
        directions: Directions to show, those that no run reports are left out.
        target: Name of the real dataset, to append the paper's own figures; None for synthetic data.

    Returns:
        A scrollable ``<div>`` with the table, or a sentence when there is nothing to show.
    """
    groups = [name for name in directions_of(runs) if name in directions]
    if not groups:
        return '<p class="empty">No run has been evaluated.</p>'
    layout = [(name, column) for name in groups for column in columns_of(runs)]
    if set(groups) == set(CROSS_MODAL) and any('mean/mAP' in run.metrics for run in runs):
        layout.append(('mean', 'mAP'))
    keys = [f'{name}/{column}' for name, column in layout]
    best = {key: best_value(runs, key) for key in keys}
    body = '\n'.join(_html_row(run, runs[0], keys, best) for run in runs)
    if target is not None:
        body += '\n' + _paper_rows_html(paper_reference(target), keys)
    return (
        '<div class="scroll" role="region" aria-label="Results table" tabindex="0">'
        f'<table class="results">\n{_html_head(layout)}\n<tbody>\n{body}\n</tbody></table></div>'
    )


def _printed(value: float | None) -> float | None:
    """A metric as printed: percent with one decimal; None where it is missing or not a number."""
    return None if value is None or not math.isfinite(value) else round(100 * value, 1)


def _console_lines(run: ReportRun, runs: Sequence[ReportRun], columns: Sequence[str]) -> list[str]:
    """A run's lines of the console table: one per direction and one for the mean over the directions."""
    lines = []
    for direction in [*directions_of(runs), 'mean']:
        keys = [f'{direction}/{column}' for column in columns]
        if not any(key in run.metrics for key in keys):
            continue
        cells = []
        for key in keys:
            value = _printed(run.metrics.get(key))
            is_best = value is not None and value == best_value(runs, key) and not run.upper_bound
            cells.append(('*' if is_best else '') + ('-' if value is None else f'{value:.1f}'))
        points = gain(run, runs[0], f'{direction}/mAP')
        line = f'  {direction_name(direction):<7}' + ''.join(f'{cell:>9}' for cell in cells)
        lines.append(line + ('' if points is None else f'{points:>+11.1f}'))
    return lines or ['  no figures']


def _paper_lines(reference: PaperTable) -> list[str]:
    """The paper's figures for the console, a line per method."""
    lines = [f'The paper, Table {reference.number}: {reference.title}']
    lines.append(' ' * 28 + ''.join(f'{direction_name(name):>9} Rank-1     mAP' for name in CROSS_MODAL))
    for row in reference.rows:
        label = row.method + ('' if row.unsupervised else ' (target labels)')
        figures = ''.join(f'{rank1:>16.1f}{mean_ap:>8.1f}' for rank1, mean_ap in (row.rgb2ir, row.ir2rgb))
        lines.append(f'  {label:<26}{figures}')
    return lines


def _html_head(layout: Sequence[tuple[str, str]]) -> str:
    """Two header rows: directions, then figures."""
    groups = list(dict.fromkeys(name for name, _ in layout))
    top = ''.join(
        f'<th scope="colgroup" colspan="{sum(name == group for name, _ in layout)}">'
        f'{escape(direction_name(group))}</th>'
        for group in groups
    )
    bottom = ''.join(
        f'<th scope="col"{_edge(layout, position)}>{escape(column)}</th>'
        for position, (_, column) in enumerate(layout)
    )
    return f'<thead><tr><th scope="col" rowspan="2">Run</th>{top}</tr>\n<tr>{bottom}</tr></thead>'


def _edge(layout: Sequence[tuple[str, str]], position: int) -> str:
    """Class of the first column of each direction."""
    return ' class="edge"' if position == 0 or layout[position][0] != layout[position - 1][0] else ''


def _html_row(run: ReportRun, first: ReportRun, keys: Sequence[str], best: Mapping[str, float | None]) -> str:
    """One run; the gain over the first run stands below each figure."""
    layout = [tuple(key.split('/', 1)) for key in keys]
    cells = []
    for position, key in enumerate(keys):
        value = _printed(run.metrics.get(key))
        text = '–' if value is None else f'{value:.1f}'
        if value is not None and value == best[key] and not run.upper_bound:
            text = f'<strong>{text}</strong>'
        points = gain(run, first, key)
        if points is not None:
            sign = 'up' if points >= 0.05 else 'down' if points <= -0.05 else 'same'
            text += f'<small class="{sign}">{_signed(points)}</small>'
        cells.append(f'<td{_edge(layout, position)}>{text}</td>')
    css = ' class="bound"' if run.upper_bound else ''
    return f'<tr{css}><th scope="row">{escape(run.name)}</th>{"".join(cells)}</tr>'


def _signed(points: float) -> str:
    """Percentage points with a sign (a true minus), zero without one."""
    text = f'{points:+.1f}'
    return '±0.0' if text in ('+0.0', '-0.0') else text.replace('-', '−')


def _paper_rows_html(reference: PaperTable, keys: Sequence[str]) -> str:
    """The paper's figures as further rows below a heading."""
    title = f'The paper, Table {reference.number}: {reference.title}'
    rows = [f'<tr class="section"><th scope="rowgroup" colspan="{len(keys) + 1}">{escape(title)}</th></tr>']
    layout = [tuple(key.split('/', 1)) for key in keys]
    for row in reference.rows:
        values = [_printed(row.metrics.get(key)) for key in keys]
        cells = ''.join(
            f'<td{_edge(layout, position)}>{"" if value is None else f"{value:.1f}"}</td>'
            for position, value in enumerate(values)
        )
        note = '' if row.unsupervised else ' <span class="muted">(target labels)</span>'
        rows.append(f'<tr class="paper"><th scope="row">{escape(row.method)}{note}</th>{cells}</tr>')
    return '\n'.join(rows)
