"""Pages of tables: gains with their intervals, and the quality of labels and weights by epoch."""

import numpy as np

from dscreid.lab.reproduction.summary import Summary, SummaryRow
from dscreid.visualization.curves import Scalars, curve_cards
from dscreid.visualization.figures import Card, Whisker, figure_uri, whisker_figure
from dscreid.visualization.page import TableRow, page_html, paragraphs_html, part
from dscreid.visualization.results import ReportRun, rankings_table_html

#: Logged keys that are drawn.
DRAWN = ('labels/rgb_ari', 'labels/ir_ari', 'labels/cross_modal_accuracy', 'mean/mAP')


def table_page(summary: Summary, columns: dict[str, str]) -> str:
    """Render a summary as a page: the table, gains, curves by epoch and rankings. ``columns`` maps metrics to heads."""
    rows = [
        TableRow(row.row.name, [str(row.figure(key) or '–') for key in columns] + [str(row.gain or '–')])
        for row in summary.rows
    ]
    table = part('table', label='Results', corner='Row', columns=[*columns.values(), 'gain in mAP'], rows=rows)
    runs = [
        ReportRun(row.row.name, {}, rankings={name: {'mean/mAP': value} for name, value in row.rankings.items()})
        for row in summary.rows
    ]
    curves = row_curves(summary)
    sections = [
        ('Results', table + paragraphs_html(summary.notes)),
        ('Gains', gains_html(summary)),
        ('By epoch', part('curves', stages={'': curve_cards(curves)}) if curves else ''),
        ('Which feature ranks', rankings_table_html(runs)),
    ]
    return page_html(summary.title, '', sections)


def gains_html(summary: Summary) -> str:
    """Draw the gains of all rows over the reference with their intervals; '' without any."""
    gains = gain_whiskers(summary)
    if not gains:
        return ''
    worlds = max(len(gain.points) for gain in gains)
    worlds_text = '1 world' if worlds == 1 else f'{worlds} worlds'
    caption = (
        f'Points of mean mAP over “{summary.reference}”, the best result without adaptation, in the mean of '
        f'{worlds_text}, with the 95 % interval of the paired differences if there are several worlds.'
    )
    chart = figure_uri(whisker_figure(gains, x_label='gain in mAP'))
    told = '; '.join(f'{gain.name} {gain.value:+.1f}' for gain in gains)
    return part('cards', cards=[Card('Gain over no adaptation', chart, f'Gains: {told}', captions=[caption])])


def gain_whiskers(summary: Summary) -> list[Whisker]:
    """Return the gains of all rows that have one, in percent."""
    return [
        Whisker(
            row.row.name,
            100 * gain.mean,
            interval and (100 * interval[0], 100 * interval[1]),
            [100 * difference for difference in gain.differences],
        )
        for row in summary.rows
        if (gain := row.gain) is not None
        for interval in (gain.interval,)
    ]


def row_curves(summary: Summary) -> dict[str, Scalars]:
    """Return what is drawn by epoch of all rows that have it, by the name of the row.

    Supervised rows, which have no pseudo labels, are left out if there are others: lines of many rows look alike.
    """
    drawn = [row for row in summary.rows if row.curves]
    chosen = [row for row in drawn if not row.row.supervised] or drawn
    return {row.row.name: _scalars(row) for row in chosen}


def _scalars(row: SummaryRow) -> Scalars:
    chosen = {key: row.curves[key] for key in DRAWN if key in row.curves}
    return Scalars({key: (np.array(list(own)), np.array(list(own.values()))) for key, own in chosen.items()})
