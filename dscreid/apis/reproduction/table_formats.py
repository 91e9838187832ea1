"""Summaries as Markdown, CSV and HTML."""

import csv
import io
import re
from collections.abc import Sequence
from html import escape

from dscreid.apis.reproduction.summary import Figure, Summary, SummaryRow
from dscreid.visualization.page import page_html, paragraphs_html

#: Columns of the paper's tables, and the mean by which methods are ordered.
COLUMNS = (
    ('rgb2ir/Rank-1', 'RGB→IR Rank-1'),
    ('rgb2ir/mAP', 'RGB→IR mAP'),
    ('ir2rgb/Rank-1', 'IR→RGB Rank-1'),
    ('ir2rgb/mAP', 'IR→RGB mAP'),
    ('mean/mAP', 'mean mAP'),
)
_PAPER_COLUMNS = COLUMNS[:4]
_PAPER_NOTE = "Columns headed “paper” are the paper's own figures on the real datasets."
_LEGEND = 'Percent, mean ± standard deviation over seeds; the best mean of a column is bold.'


def to_markdown(summaries: Sequence[Summary]) -> str:
    """All summaries as Markdown tables."""
    return '\n\n'.join(_markdown_table(summary) for summary in summaries) + '\n'


def to_html(summaries: Sequence[Summary], title: str) -> str:
    """All summaries as one page."""
    sections = [(summary.title, _html_table(summary)) for summary in summaries]
    return page_html(title, paragraphs_html(notes_of(summaries)[:1]), sections)


def to_csv(summaries: Sequence[Summary]) -> str:
    """All summaries as one CSV table: a line per row and metric, figures in [0, 1] as they were measured."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(['table', 'row', 'metric', 'mean', 'standard deviation', 'seeds', 'paper'])
    for summary in summaries:
        for row in summary.rows:
            writer.writerows([summary.title, row.row.name, *values] for values in _csv_values(row))
    return stream.getvalue()


def notes_of(summaries: Sequence[Summary]) -> list[str]:
    """What stands below the tables."""
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
        lines.append([key, mean, '' if deviation is None else deviation, seeds, paper.get(key, '')])
    return lines


def _cells(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Header and body as texts; the best figure of a column stands between double asterisks."""
    with_paper = any(row.paper for row in summary.rows)
    head = ['row', *(name for _, name in COLUMNS), 'seeds']
    head += [f'paper {name}' for _, name in _PAPER_COLUMNS] if with_paper else []
    body = []
    for row in summary.rows:
        cells = [row.row.name, *(_printed(summary, row, key) for key, _ in COLUMNS)]
        cells.append(', '.join(str(seed) for seed in row.values) or '–')
        if with_paper:
            cells += [_paper_cell(summary, row, key) for key, _ in _PAPER_COLUMNS]
        body.append(cells)
    return head, body


def _printed(summary: Summary, row: SummaryRow, key: str) -> str:
    figure = row.figure(key)
    if figure is None:
        return '–'
    text = _percent(figure)
    return f'**{text}**' if round(100 * figure.mean, 1) == summary.best(key) else text


def _percent(figure: Figure) -> str:
    spread = '' if figure.deviation is None else f' ± {100 * figure.deviation:.1f}'
    return f'{100 * figure.mean:.1f}{spread}'


def _paper_cell(summary: Summary, row: SummaryRow, key: str) -> str:
    if row.paper is None:
        return '–'
    value = row.paper.metrics[key]
    best = max(other.paper.metrics[key] for other in summary.rows if other.paper)
    return f'**{100 * value:.1f}**' if value == best else f'{100 * value:.1f}'


def _markdown_table(summary: Summary) -> str:
    head, body = _cells(summary)
    lines = [head, ['---'] + ['---:'] * (len(head) - 1), *body]
    table = '\n'.join(f'| {" | ".join(cell.replace("|", "∣") for cell in line)} |' for line in lines)
    notes = [*notes_of([summary]), *summary.notes]
    return f'### {summary.title}\n\n{table}\n\n' + '\n'.join(notes)


def _html_table(summary: Summary) -> str:
    head, body = _cells(summary)
    top = ''.join(f'<th scope="col">{escape(name)}</th>' for name in head)
    rows = '\n'.join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{_strong(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in body
    )
    table = (
        f'<div class="scroll" role="region" aria-label="{escape(summary.title)}" tabindex="0">'
        f'<table class="results"><thead><tr>{top}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'
    )
    return table + '\n' + paragraphs_html([*notes_of([summary])[1:], *summary.notes])


def _strong(cell: str) -> str:
    return re.sub(r'\*\*(.+)\*\*', r'<strong>\1</strong>', escape(cell))
