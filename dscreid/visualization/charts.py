"""Line charts as inline SVG, drawn by matplotlib in the colors of the page's light or dark theme."""

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

WIDTH, HEIGHT = 360, 215
NUM_COLORS = 8
MAX_POINTS = 300
MAX_MARKERS = 60

#: Placeholder colors for matplotlib; each stands for a color of the page's style sheet: ``#c0de03`` is ``var(--c3)``.
_SERIES, _INK, _GRID, _AXIS = '#c0de0{}', '#c0def0', '#c0def1', '#c0def2'
_PLACEHOLDERS = re.compile('#c0de(0[0-7]|f[012])')
_SVG = '{http://www.w3.org/2000/svg}'
_VARIABLES = {'f0': '--muted', 'f1': '--grid', 'f2': '--edge'}
_SETTINGS = {
    'svg.fonttype': 'none',
    'path.simplify': False,
    'lines.scale_dashes': False,
    'font.size': 12,
    'figure.dpi': 72,
}


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: Entry in the legend.
        x: float (n,), ascending and finite.
        y: float (n,); NaN leaves a gap in the line.
        color: Number of a theme color, 0 to 7.
        dashed: Whether the line is dashed, as a second cue in addition to the color.
        area: Whether the area below the line is filled.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    color: int = 0
    dashed: bool = False
    area: bool = False

    @property
    def style(self) -> str:
        """CSS classes of the legend entry."""
        return f'c{self.color}' + (' dash' if self.dashed else '')


@dataclass(frozen=True)
class Rule:
    """A straight reference line across the chart. Exactly one of ``x`` and ``y`` is given.

    Attributes:
        name: Entry in the legend.
        x: Position of a vertical rule, or None.
        y: Position of a horizontal rule, or None.
        color: Number of a theme color, or None for the text color.
    """

    name: str
    x: float | None = None
    y: float | None = None
    color: int | None = None

    def __post_init__(self) -> None:
        """Check that exactly one position is given."""
        if (self.x is None) == (self.y is None):
            raise ValueError('a rule needs either x or y')

    @property
    def style(self) -> str:
        """CSS classes of the legend entry."""
        return ('ink' if self.color is None else f'c{self.color}') + ' dots'


def format_number(value: float) -> str:
    """Format a tick or table value with at most four significant digits and without trailing zeros."""
    if value == 0:
        return '0'
    if 1000 <= abs(value) < 1e7:
        return f'{value:,.0f}'.replace(',', '\u202f').replace('-', '−')
    if abs(value) < 1e-3 or abs(value) >= 1e7:
        mantissa, exponent = f'{value:.3e}'.split('e')
        return f'{float(mantissa):g}e{int(exponent)}'.replace('-', '−')
    return f'{value:.4g}'.replace('-', '−')


def thin_out(x: np.ndarray, y: np.ndarray, limit: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Reduce a line to at most ``limit`` points by averaging runs of neighboring points; the last point is kept."""
    if len(x) <= limit:
        return x, y
    edges = np.linspace(0, len(x) - 1, limit).astype(int)
    sizes = np.diff(edges)
    thinned_x = np.add.reduceat(x[:-1], edges[:-1]) / sizes
    thinned_y = np.add.reduceat(y[:-1], edges[:-1]) / sizes
    return np.append(thinned_x, x[-1]), np.append(thinned_y, y[-1])


def line_chart(
    series: Sequence[Series],
    *,
    description: str,
    x_label: str,
    rules: Sequence[Rule] = (),
    from_zero: bool = True,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    y_ticks: bool = True,
) -> Markup:
    """Draw lines as an ``<svg>`` element without a legend; equal arguments give equal text.

    Args:
        series: Lines; at least one of them has a finite point.
        description: Text alternative for readers who cannot see the chart.
        x_label: Name of the x axis with its unit.
        rules: Reference lines.
        from_zero: Whether the y axis starts at zero if no value is negative.
        bounds: Lowest and highest possible values; the y axis does not extend beyond them.
        y_ticks: Whether to label the y axis and draw a grid; not needed for densities, whose height means little.

    Raises:
        ValueError: If there is no finite point to draw.
    """
    if not any(np.isfinite(line.y).any() for line in series):
        raise ValueError('a chart needs at least one finite point')
    import matplotlib
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
        axes = figure.add_axes((0.135, 0.19, 0.81, 0.76))
        for line in series:
            _draw_line(axes, line)
        for rule in rules:
            _draw_rule(axes, rule)
        _limit_y(axes, series, from_zero, bounds)
        _style_axes(axes, series, x_label, y_ticks)
        figure.savefig(stream, format='svg', transparent=True)
    return _inline_svg(stream.getvalue(), description)


def _draw_line(axes: Any, line: Series) -> None:
    """Draw the line of a series, with a filled area below it or with dots if it has few points."""
    x, y = thin_out(np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float))
    color = _SERIES.format(line.color)
    if line.area:
        axes.fill([x[0], *x, x[-1]], [0, *y, 0], facecolor=color, alpha=0.16, edgecolor='none')
    elif len(x) <= MAX_MARKERS:
        # zero-length strokes with round ends; markers would be shared definitions, whose ids clash within a page
        dots = np.stack([x, x, np.full_like(x, np.nan)], axis=1).ravel()
        axes.plot(dots, np.repeat(y, 3), color=color, linewidth=5.2, solid_capstyle='round')
    style = (0, (7, 4)) if line.dashed else '-'
    axes.plot(x, y, color=color, linewidth=2, linestyle=style, solid_joinstyle='round')


def _draw_rule(axes: Any, rule: Rule) -> None:
    """Draw one reference line."""
    color = _INK if rule.color is None else _SERIES.format(rule.color)
    style = dict(color=color, linewidth=1.5, linestyle=(0, (3, 4)))
    if rule.x is not None:
        axes.axvline(rule.x, **style)
    else:
        axes.axhline(rule.y, **style)


def _limit_y(axes: Any, series: Sequence[Series], from_zero: bool, bounds: tuple[float, float]) -> None:
    """Set the range of the y axis and remove the margins of the x axis."""
    axes.margins(x=0, y=0.06)
    low, high = axes.get_ylim()
    if from_zero and min(np.nanmin(line.y) for line in series if np.isfinite(line.y).any()) >= 0:
        low = 0.0
    axes.set_ylim(max(low, bounds[0]), min(high, bounds[1]))


def _style_axes(axes: Any, series: Sequence[Series], x_label: str, y_ticks: bool) -> None:
    """Style the grid, tick labels and base line, without elements that need an id in the page."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for artist in (*axes.lines, *axes.patches):
        artist.set_clip_on(False)
    for name, spine in axes.spines.items():
        spine.set_visible(name == 'bottom')
        spine.set_edgecolor(_AXIS)
    # no fractional ticks for epochs and iterations
    whole = all(np.all(np.mod(line.x, 1) == 0) for line in series)
    steps = [1, 2, 5, 10]
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole, steps=steps))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=steps))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, position: format_number(round(value, 12))))
    axes.tick_params(length=0, pad=6, labelcolor=_INK, labelleft=y_ticks)
    axes.set_xlabel(x_label, color=_INK, labelpad=4)
    if y_ticks:
        axes.grid(axis='y', color=_GRID, linewidth=1)
    axes.set_axisbelow(True)


def _inline_svg(drawing: str, description: str) -> Markup:
    """Convert a matplotlib drawing to an element of the page, with theme colors and a text alternative."""
    drawn = ElementTree.fromstring(drawing)
    chart = ElementTree.Element(
        'svg',
        {'class': 'chart', 'viewBox': drawn.get('viewBox'), 'role': 'img', 'aria-label': description},
    )
    for element in drawn.iter():
        style = _PLACEHOLDERS.sub(_variable, element.get('style', ''))
        if element.tag == f'{_SVG}path' and 'var(' in style:
            ElementTree.SubElement(chart, 'path', {'d': ' '.join(element.get('d').split()), 'style': style})
        elif element.tag == f'{_SVG}text':
            # the page sets the font, matplotlib the position
            anchor = re.search(r'text-anchor: \w+', style)
            place = {'x': element.get('x'), 'y': element.get('y'), 'style': anchor[0] if anchor else ''}
            ElementTree.SubElement(chart, 'text', place).text = element.text
    return Markup(ElementTree.tostring(chart, encoding='unicode'))


def _variable(match: re.Match) -> str:
    """Return the CSS variable for a placeholder color."""
    code = match[1]
    return f'var({_VARIABLES.get(code, f"--c{code[1]}")})'
