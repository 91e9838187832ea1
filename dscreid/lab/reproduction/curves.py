"""Plot sweeps of one parameter as curves, as in the paper's Figure 4."""

import io
from collections.abc import Sequence

from dscreid.lab.reproduction.summary import Summary, SummaryRow

_LINES = {'rgb2ir/mAP': 'RGB→IR', 'ir2rgb/mAP': 'IR→RGB', 'mean/mAP': 'mean'}
_MARKERS = ('o', 's', 'x')
#: Horizontal offset between the lines at one value, as a fraction of the sweep's width.
_APART = 0.012


def curves_svg(summary: Summary) -> str:
    """Plot mAP against each swept parameter, with the standard deviation over seeds, as a standalone SVG.

    Rows whose names start with the same word, the parameter's name, form one sweep. Equal summaries give identical
    bytes.
    """
    import matplotlib
    from matplotlib.figure import Figure

    sweeps = _sweeps(summary.rows)
    with matplotlib.rc_context({'svg.hashsalt': summary.title, 'font.size': 9}):
        figure = Figure(figsize=(4.2 * len(sweeps), 3.2))
        axes = figure.subplots(1, len(sweeps), squeeze=False, sharey=True)
        for panel, (name, rows) in zip(axes[0], sweeps.items(), strict=True):
            _draw(panel, name, rows)
        axes[0][0].set_ylabel('mAP, percent ± standard deviation')
        axes[0][0].legend(fontsize=8)
        figure.suptitle(summary.title, fontsize=8)
        figure.tight_layout()
        stream = io.StringIO()
        figure.savefig(stream, format='svg', metadata={'Date': None})
    return stream.getvalue()


def _sweeps(rows: Sequence[SummaryRow]) -> dict[str, list[SummaryRow]]:
    """Map each parameter to its rows in ascending order of value."""
    sweeps: dict[str, list[SummaryRow]] = {}
    for row in sorted(rows, key=lambda row: row.row.x):
        sweeps.setdefault(row.row.name.partition(' ')[0], []).append(row)
    return dict(sorted(sweeps.items(), reverse=True))  # alpha first, as in the paper


def _draw(panel, name: str, rows: Sequence[SummaryRow]) -> None:
    """Draw the panel of one parameter."""
    width = max(row.row.x for row in rows) - min(row.row.x for row in rows)
    # side by side, so that all error bars stay visible
    shifts = [step * _APART * width for step in (-1, 0, 1)]
    for (key, label), marker, shift in zip(_LINES.items(), _MARKERS, shifts, strict=True):
        points = [(row.row.x, row.figure(key)) for row in rows if row.figure(key) is not None]
        if points:
            means = [100 * figure.mean for _, figure in points]
            deviations = [100 * (figure.deviation or 0) for _, figure in points]
            places = [x + shift for x, _ in points]
            panel.errorbar(
                places, means, deviations, label=label, marker=marker, ms=4, capsize=2, elinewidth=0.8
            )
    panel.set_xlabel({'alpha': 'α'}.get(name, name))
    panel.grid(alpha=0.3)
