"""Curves shown in a report, for one run or for several runs in common charts."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dscreid.visualization.cards import Card, legend
from dscreid.visualization.charts import NUM_COLORS, Rule, Series, format_number, line_chart
from dscreid.visualization.curves import Scalars, is_loss_term
from dscreid.visualization.page import part
from dscreid.visualization.tables import Cell, Table, TableRow

RGB_COLOR, IR_COLOR, MEAN_COLOR = 0, 1, 2
_SHARE = (0.0, 1.0)
_PERCENT = (0.0, 100.0)
_UNLIMITED = (-math.inf, math.inf)


@dataclass(frozen=True)
class _Figure:
    """Settings of one figure and the series that it shows; percentages are logged as shares."""

    title: str
    caption: str
    select: Callable[[str], bool]
    x_label: str = 'epoch'
    from_zero: bool = False
    bounds: tuple[float, float] = _UNLIMITED

    @property
    def factor(self) -> float:
        """Factor from logged to displayed values."""
        return 100.0 if self.bounds == _PERCENT else 1.0


def _one_of(*names: str) -> Callable[[str], bool]:
    """Make a selector of exactly these keys."""
    return lambda key: key in names


_FIGURES = (
    _Figure('Total loss', 'Sum of all terms.', _one_of('loss'), 'iteration', from_zero=True),
    _Figure('Loss terms', 'Weights are already applied.', is_loss_term, 'iteration', from_zero=True),
    _Figure('Learning rate', '', _one_of('lr'), 'iteration', from_zero=True),
    _Figure(
        'Clusters',
        'Pseudo identities found.',
        _one_of('labels/rgb_clusters', 'labels/ir_clusters'),
        from_zero=True,
    ),
    _Figure(
        'Labeled share',
        'Share of the training tracklets that have a pseudo label.',
        _one_of('labels/rgb_labelled', 'labels/ir_labelled'),
        bounds=_SHARE,
    ),
    _Figure(
        'Adjusted Rand index',
        'Agreement of pseudo labels and true identities: 1 is perfect, 0 is chance. Never used for training.',
        _one_of('labels/rgb_ari', 'labels/ir_ari'),
        bounds=(-1.0, 1.0),
    ),
    _Figure(
        'Mutual information and purity',
        'Normalized mutual information with the true identities, and share of the majority identity.',
        _one_of('labels/rgb_nmi', 'labels/ir_nmi', 'labels/rgb_purity', 'labels/ir_purity'),
        bounds=_SHARE,
    ),
    _Figure(
        'Cross-modal accuracy',
        'How often a visible pseudo label names the infrared cluster of the same person.',
        _one_of('labels/cross_modal_accuracy'),
        bounds=_SHARE,
    ),
    _Figure(
        'Label-free criteria',
        'Quality of the weights, estimated without labels; higher is better.',
        lambda key: key.startswith('criteria/') and not key.endswith(('_rgb', '_ir')),
        bounds=(-1.0, 1.0),
    ),
    _Figure('Validation mAP', 'Percent.', lambda key: key.endswith('/mAP'), bounds=_PERCENT),
    _Figure('Validation Rank-1', 'Percent.', lambda key: key.endswith('/Rank-1'), bounds=_PERCENT),
)


def curve_cards(runs: Mapping[str, Scalars]) -> list[Card]:
    """Make all figures for which a run has logged values.

    Losses and learning rates are shown over iterations. Clusters, labeled share, agreement with the true identities
    (diagnostics that are not used in training) and validation results are shown over epochs. Unknown keys are left out.
    For one run, related series share a chart; for several runs, each series has its own chart with one line per run.

    Args:
        runs: Name of the run → what it logged.
    """
    cards = []
    for figure in _FIGURES:
        logged = {key for scalars in runs.values() for key in (*scalars.series, *scalars.gaps)}
        keys = sorted((key for key in logged if figure.select(key)), key=_rgb_first)
        if len(runs) > 1:
            cards += [_comparison_card(figure, _title(figure, key, len(keys)), key, runs) for key in keys]
        elif keys:
            cards.append(_run_card(figure, keys, *runs.values()))
    return sorted(cards, key=lambda card: not card.chart)  # single values after the charts


def curves_html(runs: Mapping[str, Scalars]) -> str:
    """Render the figures of :func:`curve_cards` as HTML; '' if there are none."""
    cards = curve_cards(runs)
    return part('cards', cards=cards) if cards else ''


def _run_card(figure: _Figure, keys: Sequence[str], scalars: Scalars) -> Card:
    """Make a figure of one run, with one line per series."""
    lines = []
    for position, key in enumerate(keys):
        x, y = scalars.with_gaps(key)
        lines.append(Series(_label(key), x, figure.factor * y, **_style(key, position)))
    return _card(figure, figure.title, lines, scalars.identities)


def _comparison_card(figure: _Figure, title: str, key: str, runs: Mapping[str, Scalars]) -> Card:
    """Make a figure of one series of several runs, with one line per run."""
    lines = []
    for position, (name, scalars) in enumerate(runs.items()):
        x, y = scalars.with_gaps(key)
        if len(x):
            style = dict(color=position % NUM_COLORS, dashed=position // NUM_COLORS % 2 == 1)
            lines.append(Series(name, x, figure.factor * y, **style))
    numbers = {scalars.identities for scalars in runs.values()}
    return _card(figure, title, lines, numbers.pop() if len(numbers) == 1 else None)


def _title(figure: _Figure, key: str, count: int) -> str:
    """Return the title of a chart that shows one of the ``count`` series of a figure."""
    return figure.title if count == 1 else f'{figure.title}: {_label(key)}'


def _card(figure: _Figure, title: str, lines: Sequence[Series], identities: int | None) -> Card:
    """Make a card with legend, chart and captions; series over epochs also get a table of values.

    If no line has more than one point, the values are written as text instead of a chart.
    """
    captions = [figure.caption, *_gap_notes(lines)]
    drawn = [line for line in lines if np.isfinite(line.y).any()]
    if all(np.isfinite(line.y).sum() == 1 for line in drawn):
        return Card(title, captions=[*_single_values(drawn, figure.x_label), *filter(None, captions)])
    rules = []
    if figure.title == 'Clusters' and identities is not None:
        rules.append(Rule(f'true identities ({identities})', y=identities))
    chart = line_chart(
        drawn,
        description=f'{title} by {figure.x_label}: {"; ".join(_summary(line) for line in drawn)}',
        x_label=figure.x_label,
        rules=rules,
        from_zero=figure.from_zero,
        bounds=figure.bounds,
    )
    values = _values_table(drawn, figure.x_label) if figure.x_label == 'epoch' else None
    return Card(title, chart, legend(drawn, rules), [text for text in captions if text], values)


def _gap_notes(lines: Sequence[Series]) -> list[str]:
    """Write a sentence for each line that has gaps."""
    counts = {line.name: int(np.isnan(line.y).sum()) for line in lines}
    return [
        f'{name}: {count} of {len(line.y)} values {"is" if count == 1 else "are"} NaN or infinite and left out.'
        for line, (name, count) in zip(lines, counts.items(), strict=True)
        if count
    ]


def _single_values(lines: Sequence[Series], x_label: str) -> list[str]:
    """Write a sentence for each line, each of which has a single point."""
    texts = []
    for line in lines:
        at = int(np.flatnonzero(np.isfinite(line.y))[0])
        texts.append(f'{line.name}: {format_number(line.y[at])} at {x_label} {format_number(line.x[at])}.')
    return texts


def _rgb_first(key: str) -> tuple[int, str]:
    """Sort key of a series: visible first, then infrared, then the rest."""
    order = 0 if 'rgb2ir' in key or 'rgb_' in key else 1 if 'ir2rgb' in key or 'ir_' in key else 2
    return order, key


def _style(key: str, position: int) -> dict:
    """Choose color and dash: each modality has the same color throughout the report; purity and mean are dashed."""
    if key.startswith('labels/') or key.endswith(('/mAP', '/Rank-1')):
        color = {0: RGB_COLOR, 1: IR_COLOR}.get(_rgb_first(key)[0], MEAN_COLOR)
        color = {'rgb2rgb': 3, 'ir2ir': 4}.get(key.partition('/')[0], color)
        return {'color': color, 'dashed': key.endswith('_purity') or key.startswith('mean/')}
    return {'color': position % NUM_COLORS, 'dashed': position >= NUM_COLORS}


def _label(key: str) -> str:
    """Return the name of a key in the legend."""
    head, _, tail = key.partition('/')
    if head == 'labels':
        modality, _, what = tail.partition('_')
        if modality in ('rgb', 'ir'):
            name = {'rgb': 'visible', 'ir': 'infrared'}[modality]
            return name + {'nmi': ', NMI', 'purity': ', purity'}.get(what, '')
    if head in ('labels', 'criteria'):
        return tail.replace('_', ' ')
    if tail in ('mAP', 'Rank-1'):
        return {'rgb2ir': 'RGB→IR', 'ir2rgb': 'IR→RGB'}.get(head, head)
    return key.removeprefix('loss_').replace('_', ' ') if key.startswith('loss_') else key


def _summary(line: Series) -> str:
    """Describe the first and last value of a line."""
    finite = line.y[np.isfinite(line.y)]
    return f'{line.name} from {format_number(finite[0])} to {format_number(finite[-1])}'


def _values_table(lines: Sequence[Series], x_label: str) -> Table:
    """Make a table of the values of a figure."""
    positions = sorted({float(at) for line in lines for at in line.x})
    lookup = [dict(zip(line.x.tolist(), line.y.tolist(), strict=True)) for line in lines]
    rows = [
        TableRow(format_number(at), [Cell(_value(values.get(at, math.nan))) for values in lookup])
        for at in positions
    ]
    return Table('Values', x_label, [('', line.name) for line in lines], rows)


def _value(value: float) -> str:
    """Format a value of the table; a dash if it is missing."""
    return format_number(value) if math.isfinite(value) else '–'
