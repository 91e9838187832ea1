"""Results table for the console and the report, and Tables 1 to 6 of the paper (DSC) to compare with."""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from dscreid.evaluation import FeatureTable
from dscreid.evaluation.protocols import CROSS_MODAL
from dscreid.structures import RANKINGS
from dscreid.visualization.page import TableRow, paragraphs_html, part

NOT_EVALUATED = 'No run has been evaluated.'
_DIRECTIONS = {'rgb2ir': 'RGB→IR', 'ir2rgb': 'IR→RGB', 'rgb2rgb': 'RGB→RGB', 'ir2ir': 'IR→IR'}
#: Footnote to show together with figures of these tables.
PAPER_FOOTNOTE = (
    "The paper's figures are shown as printed. For most supervised methods (not for DEEN) its two directions are "
    'exchanged: the original publications give as IR→RGB what the paper prints under RGB→IR. Whether the unsupervised '
    'rows are exchanged too is unknown, so compare the means of both directions first.'
)
_TITLES = (
    ('Comparison on BUPTCampus', 'bupt_campus'),
    ('Comparison on HITSZ-VCM', 'hitsz_vcm'),
    ('Components', 'bupt_campus'),
    ('Inside DSJL, with DSLU', 'bupt_campus'),
    ('Inside DSLU, with DSJL', 'bupt_campus'),
    ('Weights (dynamic, static) of the fused similarity (11)', 'bupt_campus'),
)


class PaperResult(NamedTuple):
    """One row of one of the paper's tables: Rank-1 and mAP in percent for both kinds of queries."""

    method: str
    rgb2ir: tuple[float, float]
    ir2rgb: tuple[float, float]
    unsupervised: bool = True  #: whether the method used no identity label of the target domain

    @property
    def metrics(self) -> dict[str, float]:
        """The row with the names and range [0, 1] of a run's metrics, including the means of both directions."""
        # means are rounded to one decimal of a percentage, as the printed figures; halves are rounded up
        means = (round(5 * sum(pair) + 1e-6) / 1000 for pair in zip(self.rgb2ir, self.ir2rgb, strict=True))
        printed = (value / 100 for pair in zip(self.rgb2ir, self.ir2rgb, strict=True) for value in pair)
        keys = [f'{name}/{measure}' for measure in ('Rank-1', 'mAP') for name in ('rgb2ir', 'ir2rgb')]
        return dict(zip([*keys, 'mean/Rank-1', 'mean/mAP'], [*printed, *means], strict=True))


class PaperTable(NamedTuple):
    """One of the paper's tables; ``target`` is the protocol of its dataset, ``'bupt_campus'`` or ``'hitsz_vcm'``."""

    title: str
    target: str
    rows: list[PaperResult]


@cache
def paper_table(number: int) -> PaperTable:
    """Return a results table of the paper, 1 to 6."""
    rows = []
    with Path(__file__).with_name('paper_tables.csv').open(encoding='utf-8', newline='') as file:
        for table, method, *figures, supervised in csv.reader(file):
            if table == str(number):
                forth1, forth, back1, back = map(float, figures)
                rows.append(PaperResult(method, (forth1, forth), (back1, back), not supervised))
    return PaperTable(*_TITLES[number - 1], rows)


@dataclass(frozen=True)
class ReportRun:
    """One row of the results table."""

    name: str
    #: ``'rgb2ir/mAP'``, ``'rgb2ir/Rank-1'``, …, in [0, 1]; empty if the run was not evaluated
    metrics: Mapping[str, float]
    features: FeatureTable | None = field(default=None, repr=False)  #: of the test set, for pictures and densities
    upper_bound: bool = False  #: whether the run used the true labels of the target; it is then never marked as best
    reason: str = 'it has no metrics'  #: why the run was not evaluated
    #: metrics by the name of the feature that tracklets are ranked by (``RANKINGS``); empty if not measured
    rankings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reference: bool = False  #: whether the row is published or test-selected; it is then never best and gains nothing
    deviations: Mapping[str, float] = field(default_factory=dict)  #: standard deviations of a mean over runs

    def printed(self, key: str) -> float | None:
        """Return a metric as printed, in percent with one decimal; None if it is missing or not finite."""
        value = self.metrics.get(key, math.nan)
        return round(100 * value, 1) if math.isfinite(value) else None

    def gain_over(self, first: 'ReportRun', key: str) -> float | None:
        """Return the gain over another run in percentage points, or None if either lacks the metric."""
        points = 100 * (self.metrics.get(key, math.nan) - first.metrics.get(key, math.nan))
        return points if self is not first and not self.reference and math.isfinite(points) else None

    def figure(self, key: str) -> str | None:
        """Return a metric as text, in percent with one decimal, with its standard deviation if it has one."""
        value = self.printed(key)
        deviation = f'±{100 * self.deviations[key]:.1f}' if key in self.deviations else ''
        return None if value is None else f'{value:.1f}{deviation}'


def direction_name(direction: str) -> str:
    """Return a direction as written in the paper, such as ``'RGB→IR'``."""
    return _DIRECTIONS.get(direction, direction)


def directions_of(runs: Sequence[ReportRun]) -> list[str]:
    """List the directions for which a run reports mAP, cross-modal ones first, without the mean."""
    found = {key.partition('/')[0] for run in runs for key in run.metrics if key.endswith('/mAP')} - {'mean'}
    return [name for name in _DIRECTIONS if name in found] + sorted(found - set(_DIRECTIONS))


def columns_of(runs: Sequence[ReportRun]) -> list[str]:
    """List the measures reported for a direction: ``Rank-k`` by ascending k, then ``mAP`` and ``mINP``."""
    names = {key.partition('/')[2] for run in runs for key in run.metrics}
    ranks = sorted(int(match[1]) for name in names if (match := re.fullmatch(r'Rank-(\d+)', name)))
    return [f'Rank-{rank}' for rank in ranks] + [name for name in ('mAP', 'mINP') if name in names]


def is_best(run: ReportRun, runs: Sequence[ReportRun], key: str) -> bool:
    """Check whether a printed metric is the highest of at least two runs, all without upper bounds."""
    competing = [one for one in runs if not one.upper_bound and not one.reference]
    values = [value for one in competing if (value := one.printed(key)) is not None]
    return any(run is one for one in competing) and len(values) > 1 and run.printed(key) == max(values)


def format_results_table(runs: Sequence[ReportRun]) -> str:
    """Format the results for the console, in lines of at most 80 characters, with one line per run and direction.

    Values are percentages with one decimal; ``*`` marks the best of a column, and the last column is the gain in mAP
    over the first run.
    """
    if not runs:
        return NOT_EVALUATED
    width = _width(runs)
    head = ' ' * 9 + ''.join(f'{column:>{width}}' for column in columns_of(runs))
    lines = [head + (f'{"gain mAP":>11}' if len(runs) > 1 else '')]
    for run in runs:
        lines += [run.name, *(_console_lines(run, runs) or [f'  not evaluated: {run.reason}'])]
    return '\n'.join(line.rstrip() for line in lines)


def results_table_html(
    runs: Sequence[ReportRun], *, directions: Sequence[str] = CROSS_MODAL, target: str | None = None
) -> str:
    """Render the results as an HTML table with a row per run, and the figures of the paper if there is a target."""
    runs = [run for run in runs if run.metrics]
    groups = [name for name in directions_of(runs) if name in directions]
    if not groups:
        return paragraphs_html([NOT_EVALUATED])
    keys = [f'{name}/{column}' for name in groups for column in columns_of(runs)]
    if set(groups) == set(CROSS_MODAL):
        keys = [key for key in ('mean/Rank-1', 'mean/mAP') if any(key in run.metrics for run in runs)] + keys
    rows = []
    for run in runs:
        values = [run.figure(key) or '–' for key in keys]
        cells = [
            part('figure', text=value, strong=is_best(run, runs, key), gain=run.gain_over(runs[0], key))
            for key, value in zip(keys, values, strict=True)
        ]
        rows.append(TableRow(run.name, cells, kind='bound' if run.upper_bound else 'paper' if run.reference else ''))
    if target is not None:
        rows += _paper_rows(target, keys)
    widths = Counter(direction_name(key.partition('/')[0]) for key in keys)
    return part(
        'table',
        label='Results table',
        corner='Run',
        columns=[key.partition('/')[2] for key in keys],
        rows=rows,
        groups=widths.items(),
        edges=[0, *accumulate(widths.values())],
        footnote='' if target is None else PAPER_FOOTNOTE,
    )


def rankings_table_html(runs: Sequence[ReportRun]) -> str:
    """Render the mean mAP of each run under each feature that tracklets can be ranked by; '' if none was measured."""
    runs = [run for run in runs if any('mean/mAP' in metrics for metrics in run.rankings.values())]
    if not runs:
        return ''
    values = [{name: metrics.get('mean/mAP') for name, metrics in run.rankings.items()} for run in runs]
    columns = [name for name in RANKINGS if any(one.get(name) is not None for one in values)]
    rows = [
        TableRow(
            run.name, ['–' if (value := one.get(name)) is None else f'{100 * value:.1f}' for name in columns],
            kind='bound' if run.upper_bound else '',
        )
        for run, one in zip(runs, values, strict=True)
    ]  # fmt: skip
    return part('rankings', table=part('table', label='Rankings', corner='Run', columns=columns, rows=rows))


def _width(runs: Sequence[ReportRun]) -> int:
    """Width of a column for the console, with room for standard deviations if there are any."""
    return 10 if any(run.deviations for run in runs) else 9


def _console_lines(run: ReportRun, runs: Sequence[ReportRun]) -> list[str]:
    lines = []
    for direction in ['mean', *directions_of(runs)]:
        keys = [f'{direction}/{column}' for column in columns_of(runs)]
        if any(key in run.metrics for key in keys):
            values = [(run.figure(key), '*' if is_best(run, runs, key) else '') for key in keys]
            cells = ['-' if value is None else f'{mark}{value}' for value, mark in values]
            points = run.gain_over(runs[0], f'{direction}/mAP')
            line = f'  {direction_name(direction):<7}' + ''.join(f'{cell:>{_width(runs)}}' for cell in cells)
            lines.append(line + ('' if points is None else f'{points:>+11.1f}'))
    return lines


def _paper_rows(target: str, keys: Sequence[str]) -> Iterator[TableRow]:
    number = {'bupt_campus': 1, 'hitsz_vcm': 2}[target]
    title, _, rows = paper_table(number)
    yield TableRow(f'The paper, Table {number}: {title}')
    for row in rows:
        cells = [f'{100 * row.metrics[key]:.1f}' if key in row.metrics else '' for key in keys]
        yield TableRow(row.method, cells, '' if row.unsupervised else 'target labels', 'paper')
