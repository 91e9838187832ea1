"""Results table for the console and the report."""

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dscreid.evaluation import FeatureTable
from dscreid.visualization.page import joined, paragraphs_html, part
from dscreid.visualization.paper_tables import PAPER_FOOTNOTE, PaperTable, paper_reference
from dscreid.visualization.tables import Cell, Table, TableRow

NOT_EVALUATED = 'No run has been evaluated.'
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
    """One row of the results table.

    Attributes:
        name: Name of the row, such as ``'CD (source model, no adaptation)'``.
        metrics: Flat dictionary of ``ReIDMetric`` with values in [0, 1]: ``'rgb2ir/mAP'``, ``'rgb2ir/Rank-1'``, …;
            empty if the run was not evaluated.
        features: Features from ``dscreid.evaluation.load_features``, for pictures and densities, or None.
        upper_bound: Whether the run used the true labels of the target. Such a run is shown but never marked as best.
        reason: Reason why the run was not evaluated.
    """

    name: str
    metrics: Mapping[str, float]
    features: FeatureTable | None = field(default=None, repr=False)
    upper_bound: bool = False
    reason: str = 'it has no metrics'


def directions_of(runs: Sequence[ReportRun]) -> list[str]:
    """List the directions for which a run reports mAP, cross-modal ones first, without the mean."""
    found = {key.partition('/')[0] for run in runs for key in run.metrics if key.endswith('/mAP')} - {'mean'}
    known = [name for name in DIRECTION_NAMES if name in found]
    return known + sorted(found - set(known))


def columns_of(runs: Sequence[ReportRun]) -> list[str]:
    """List the measures reported for a direction: ``Rank-k`` by ascending k, then ``mAP`` and ``mINP``."""
    names = {key.partition('/')[2] for run in runs for key in run.metrics}
    ranks = sorted(int(match[1]) for name in names if (match := re.fullmatch(r'Rank-(\d+)', name)))
    return [f'Rank-{rank}' for rank in ranks] + [name for name in ('mAP', 'mINP') if name in names]


def direction_name(direction: str) -> str:
    """Return a direction as written in the paper: ``'rgb2ir'`` becomes ``'RGB→IR'``."""
    return DIRECTION_NAMES.get(direction, direction)


def best_value(runs: Sequence[ReportRun], key: str) -> float | None:
    """Return the highest finite value of a metric as printed (percent, one decimal), without upper bounds.

    Returns None if there are fewer than two values to compare.
    """
    values = [_printed(run.metrics.get(key)) for run in runs if not run.upper_bound]
    values = [value for value in values if value is not None]
    return max(values) if len(values) > 1 else None


def gain(run: ReportRun, first: ReportRun, key: str) -> float | None:
    """Return the gain of a run over the first run in percentage points, or None if either lacks the metric."""
    values = [one.metrics.get(key) for one in (run, first)]
    if run is first or any(value is None or not math.isfinite(value) for value in values):
        return None
    return 100 * (values[0] - values[1])


def format_results_table(runs: Sequence[ReportRun], *, target: str | None = None) -> str:
    """Format the results as plain text for the console, with one line per run and direction.

    Values are percentages with one decimal. The best value of a column is marked with ``*``. The last column is the
    gain in mAP over the first run.

    Args:
        runs: Rows; all others are compared with the first.
        target: Name of the real dataset, to add the figures of the paper below; None for synthetic data.

    Returns:
        Lines of at most 80 characters (unless names are longer), without a trailing newline.
    """
    if not runs:
        return NOT_EVALUATED
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
    """Render the results as an HTML table with one row per run; the mean of both directions comes first.

    Args:
        runs: Rows; all others are compared with the first. Runs without metrics are left out.
        directions: Directions to show; those that no run reports are left out.
        target: Name of the real dataset, to append the figures of the paper; None for synthetic data.

    Returns:
        A scrollable ``<div>`` with the table, or a sentence if there is nothing to show.
    """
    runs = [run for run in runs if run.metrics]
    groups = [name for name in directions_of(runs) if name in directions]
    if not groups:
        return paragraphs_html([NOT_EVALUATED])
    keys = [f'{name}/{column}' for name in groups for column in columns_of(runs)]
    if set(groups) == set(CROSS_MODAL):
        means = [f'mean/{column}' for column in ('Rank-1', 'mAP')]
        keys = [key for key in means if any(key in run.metrics for run in runs)] + keys
    rows = [_table_row(run, runs, keys) for run in runs]
    if target is not None:
        rows += _paper_rows(paper_reference(target), keys)
    columns = [(direction_name(name), column) for name, column in (key.split('/', 1) for key in keys)]
    table = part('table', table=Table('Results table', 'Run', columns, rows))
    return table if target is None else joined([table, paragraphs_html([PAPER_FOOTNOTE])])


def _printed(value: float | None) -> float | None:
    """Round a metric as printed, in percent with one decimal; None if it is missing or not finite."""
    return None if value is None or not math.isfinite(value) else round(100 * value, 1)


def _console_lines(run: ReportRun, runs: Sequence[ReportRun], columns: Sequence[str]) -> list[str]:
    """Format the lines of a run in the console table: the mean over the directions, then each direction."""
    lines = []
    for direction in ['mean', *directions_of(runs)]:
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
    return lines or [f'  not evaluated: {run.reason}']


def _paper_lines(reference: PaperTable) -> list[str]:
    """Format the figures of the paper for the console, with one line per method and the footnote."""
    lines = [f'The paper, Table {reference.number}: {reference.title}']
    names = ('mean', *CROSS_MODAL)
    lines.append(' ' * 26 + ''.join(f'{direction_name(name):>16}' for name in names))
    lines.append(' ' * 26 + f'{"Rank-1":>9}{"mAP":>7}' * len(names))
    for row in reference.rows:
        label = row.method + ('' if row.unsupervised else ' (target labels)')
        figures = [100 * row.metrics[f'{name}/{column}'] for name in names for column in ('Rank-1', 'mAP')]
        cells = ''.join(f'{value:>{9 - 2 * (place % 2)}.1f}' for place, value in enumerate(figures))
        lines.append(f'  {label:<24}{cells}')
    return [*lines, *textwrap.wrap(PAPER_FOOTNOTE, 80)]


def _table_row(run: ReportRun, runs: Sequence[ReportRun], keys: Sequence[str]) -> TableRow:
    """Make the row of a run, with the gain over the first run below each value."""
    cells = []
    for key in keys:
        value, points = _printed(run.metrics.get(key)), gain(run, runs[0], key)
        cells.append(
            Cell(
                '–' if value is None else f'{value:.1f}',
                strong=value is not None and value == best_value(runs, key) and not run.upper_bound,
                small='' if points is None else _signed(points),
                tone='' if points is None or abs(points) < 0.05 else 'up' if points > 0 else 'down',
            )
        )
    return TableRow(run.name, cells, kind='bound' if run.upper_bound else '')


def _signed(points: float) -> str:
    """Format percentage points with a sign (a true minus); zero is ``±0.0``."""
    text = f'{points:+.1f}'
    return '±0.0' if text in ('+0.0', '-0.0') else text.replace('-', '−')


def _paper_rows(reference: PaperTable, keys: Sequence[str]) -> list[TableRow]:
    """Make rows with the figures of the paper, below a heading."""
    rows = [TableRow(f'The paper, Table {reference.number}: {reference.title}')]
    for row in reference.rows:
        values = [_printed(row.metrics.get(key)) for key in keys]
        cells = [Cell('' if value is None else f'{value:.1f}') for value in values]
        rows.append(TableRow(row.method, cells, '' if row.unsupervised else 'target labels', 'paper'))
    return rows
