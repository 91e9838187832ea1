"""Write summaries as Markdown, CSV and HTML."""

import csv
import io
from collections.abc import Sequence

from dscreid.lab.reproduction.summary import Figure, Summary, SummaryRow
from dscreid.visualization import PAPER_FOOTNOTE
from dscreid.visualization.page import joined, page_html, paragraphs_html, part
from dscreid.visualization.tables import Cell, Table, TableRow

#: Key → (group, name) of the columns for runs and for the paper. The mean of both directions comes first
#: because methods are ordered by it, and because it is still right if a table swaps the directions.
COLUMNS = {
    'mean/Rank-1': ('mean', 'Rank-1'),
    'mean/mAP': ('mean', 'mAP'),
    'rgb2ir/Rank-1': ('RGB→IR', 'Rank-1'),
    'rgb2ir/mAP': ('RGB→IR', 'mAP'),
    'ir2rgb/Rank-1': ('IR→RGB', 'Rank-1'),
    'ir2rgb/mAP': ('IR→RGB', 'mAP'),
}
_PAPER_NOTE = f'Columns headed “paper” hold the figures of the paper on the real datasets. {PAPER_FOOTNOTE}'
_LEGEND = 'Percent, mean ± standard deviation over seeds; the best mean of a column is bold.'


def to_markdown(summaries: Sequence[Summary]) -> str:
    """Format all summaries as Markdown tables."""
    return '\n\n'.join(_markdown_table(summary) for summary in summaries) + '\n'


def to_html(summaries: Sequence[Summary], title: str) -> str:
    """Format all summaries as one HTML page."""
    sections = [(summary.title.removeprefix(f'{title} · '), _html_table(summary)) for summary in summaries]
    return page_html(title, paragraphs_html([_LEGEND]), sections)


def to_csv(summaries: Sequence[Summary]) -> str:
    """Format all summaries as one CSV table: one line per row and metric, unrounded values in [0, 1]."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(
        ['table', 'row', 'metric', 'mean', 'standard deviation', 'seeds', 'paper', 'note on the paper']
    )
    for summary in summaries:
        for row in summary.rows:
            writer.writerows([summary.title, row.row.name, *values] for values in _csv_values(row))
    return stream.getvalue()


def notes_of(summaries: Sequence[Summary]) -> list[str]:
    """Return the sentences below the tables."""
    notes = [_LEGEND]
    if any(row.paper for summary in summaries for row in summary.rows):
        notes.append(_PAPER_NOTE)
    return notes


def _csv_values(row: SummaryRow) -> list[list]:
    keys = list(dict.fromkeys(key for metrics in row.values.values() for key in metrics))
    paper = row.paper.metrics if row.paper else {}
    lines = []
    for key in dict.fromkeys([*keys, *paper]):
        figure = row.figure(key)
        mean, deviation = ('', '') if figure is None else (figure.mean, figure.deviation)
        seeds = ' '.join(str(seed) for seed in row.values)
        note = PAPER_FOOTNOTE if key in paper else ''
        lines.append([key, mean, '' if deviation is None else deviation, seeds, paper.get(key, ''), note])
    return lines


def _table(summary: Summary) -> Table:
    """Build the table of a summary."""
    with_paper = any(row.paper for row in summary.rows)
    columns = [*COLUMNS.values(), ('', 'seeds')]
    columns += [(f'paper, {group}', name) for group, name in COLUMNS.values()] if with_paper else []
    rows = []
    for row in summary.rows:
        cells = [_cell(summary, row, key) for key in COLUMNS]
        cells.append(Cell(', '.join(str(seed) for seed in row.values) or '–'))
        cells += [_paper_cell(summary, row, key) for key in COLUMNS] if with_paper else []
        rows.append(TableRow(row.row.name, cells))
    return Table(summary.title, 'Row', columns, rows)


def _cell(summary: Summary, row: SummaryRow, key: str) -> Cell:
    figure = row.figure(key)
    if figure is None:
        return Cell('–')
    return Cell(_percent(figure), strong=round(100 * figure.mean, 1) == summary.best(key))


def _percent(figure: Figure) -> str:
    spread = '' if figure.deviation is None else f' ± {100 * figure.deviation:.1f}'
    return f'{100 * figure.mean:.1f}{spread}'


def _paper_cell(summary: Summary, row: SummaryRow, key: str) -> Cell:
    if row.paper is None:
        return Cell('–')
    value = row.paper.metrics[key]
    best = max(other.paper.metrics[key] for other in summary.rows if other.paper)
    return Cell(f'{100 * value:.1f}', strong=value == best)


def _markdown_table(summary: Summary) -> str:
    table = _table(summary)
    head = [table.corner, *(' '.join(filter(None, column)) for column in table.columns)]
    body = [
        [row.name, *(f'**{cell.text}**' if cell.strong else cell.text for cell in row.cells)]
        for row in table.rows
    ]
    lines = [head, ['---'] + ['---:'] * (len(head) - 1), *body]
    text = '\n'.join(f'| {" | ".join(cell.replace("|", "∣") for cell in line)} |' for line in lines)
    return f'### {summary.title}\n\n{text}\n\n' + '\n\n'.join([*notes_of([summary]), *summary.notes])


def _html_table(summary: Summary) -> str:
    notes = paragraphs_html([*notes_of([summary])[1:], *summary.notes])
    return joined([part('table', table=_table(summary)), notes])
