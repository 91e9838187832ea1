"""Line charts as inline SVG whose colours follow the page's light or dark theme.

Hand-drawn rather than taken from matplotlib, so that one figure serves both themes, costs a few kilobytes and
has the same bytes on every machine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 50, 22, 12, 42
NUM_COLOURS = 8
MAX_POINTS = 300
MAX_MARKERS = 60


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: Entry in the legend.
        x: float (n,), ascending.
        y: float (n,), finite.
        colour: Number of the theme's colour, 0 to 7.
        dashed: Draw a dashed line (a second cue beside the colour).
        area: Fill the surface down to the lower end of the scale.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: int = 0
    dashed: bool = False
    area: bool = False


@dataclass(frozen=True)
class Rule:
    """A straight reference line across the chart, at an x or at a y.

    Attributes:
        name: Entry in the legend.
        x: Position of a vertical rule, or None.
        y: Position of a horizontal rule, or None; exactly one of the two is given.
        colour: Number of the theme's colour, or None for the colour of text.
    """

    name: str
    x: float | None = None
    y: float | None = None
    colour: int | None = None

    def __post_init__(self) -> None:
        """Check that the rule has one direction."""
        if (self.x is None) == (self.y is None):
            raise ValueError('a rule needs either x or y')


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) in [low, high], about ``count`` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [position * step for position in range(first, last + 1)]


def format_number(value: float) -> str:
    """A tick or table value in at most four significant digits, without trailing zeros."""
    if value == 0:
        return '0'
    if 1000 <= abs(value) < 1e7:
        return f'{value:,.0f}'.replace(',', '\u202f')
    if abs(value) < 1e-3 or abs(value) >= 1e7:
        mantissa, exponent = f'{value:.3e}'.split('e')
        return f'{float(mantissa):g}e{int(exponent)}'
    return f'{value:.4g}'


def thin_out(x: np.ndarray, y: np.ndarray, limit: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most ``limit`` points: means over runs of neighbours, the last point kept as it is."""
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
    y_ticks: bool = True,
) -> str:
    """An ``<svg>`` with the given lines; the legend is :func:`legend`'s.

    Args:
        series: Lines with at least one point among them.
        description: Text alternative: what the chart shows, for a reader who cannot see it.
        x_label: Name of the x axis with its unit.
        rules: Reference lines.
        from_zero: Let the y scale reach down to zero when all values are positive.
        y_ticks: Label the y axis; densities, whose height means little, do without.

    Raises:
        ValueError: If there is no point to draw.
    """
    series = [line for line in series if len(line.x)]
    if not series:
        raise ValueError('a chart needs at least one point')
    scale = _Scale.around(series, rules, from_zero)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}">',
        *_axes(scale, x_label, y_ticks),
    ]
    for line in series:
        parts += _line(line, scale)
    parts += [_rule(rule, scale) for rule in rules]
    return '\n'.join([*parts, '</svg>'])


def legend(series: Sequence[Series], rules: Sequence[Rule] = ()) -> str:
    """The legend of a chart as HTML, so that it wraps on narrow screens."""
    entries = [(line.name, f'c{line.colour}' + (' dash' if line.dashed else '')) for line in series]
    entries += [
        (rule.name, ('ink' if rule.colour is None else f'c{rule.colour}') + ' dash') for rule in rules
    ]
    items = ''.join(
        f'<li><span class="swatch {style}" aria-hidden="true"></span>{escape(name)}</li>'
        for name, style in entries
    )
    return f'<ul class="legend">{items}</ul>'


@dataclass(frozen=True)
class _Scale:
    """Maps data to the drawing's coordinates."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    @classmethod
    def around(cls, series: Sequence[Series], rules: Sequence[Rule], from_zero: bool) -> '_Scale':
        """Scale that holds all points and rules."""
        xs = np.concatenate([line.x for line in series] + [[rule.x] for rule in rules if rule.x is not None])
        ys = np.concatenate([line.y for line in series] + [[rule.y] for rule in rules if rule.y is not None])
        x_low, x_high = _widened(float(xs.min()), float(xs.max()), 0.0)
        y_low, y_high = _widened(float(ys.min()), float(ys.max()), 0.06)
        if from_zero and ys.min() >= 0:
            y_low = 0.0
        return cls(x_low, x_high, y_low, y_high)

    def x(self, value: np.ndarray | float) -> np.ndarray | float:
        """Horizontal drawing coordinate."""
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: np.ndarray | float) -> np.ndarray | float:
        """Vertical drawing coordinate."""
        return HEIGHT - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)


def _widened(low: float, high: float, share: float) -> tuple[float, float]:
    """The interval widened by a share of its length; a single value gets an interval around it."""
    if high <= low:
        margin = abs(low) * 0.5 or 0.5
        return low - margin, high + margin
    margin = (high - low) * share
    return low - margin, high + margin


def _axes(scale: _Scale, x_label: str, y_ticks: bool) -> list[str]:
    """Grid lines, tick labels, the base line and the name of the x axis."""
    base = HEIGHT - BOTTOM
    parts = []
    for tick in nice_ticks(scale.y_low, scale.y_high) if y_ticks else []:
        y = scale.y(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text('tick', LEFT - 7, y + 4, 'end', format_number(tick)))
    for tick in nice_ticks(scale.x_low, scale.x_high, 6):
        x = scale.x(tick)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 4}"/>')
        parts.append(_text('tick', x, base + 17, 'middle', format_number(tick)))
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    parts.append(_text('label', (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, 'middle', x_label))
    return parts


def _text(css: str, x: float, y: float, anchor: str, text: str) -> str:
    """One label."""
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(line: Series, scale: _Scale) -> list[str]:
    """One series: optional surface, the line, and dots with tooltips where the points are few."""
    x, y = thin_out(np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float))
    points = ' '.join(f'{px:.1f},{py:.1f}' for px, py in zip(scale.x(x), scale.y(y), strict=True))
    style = f'line s{line.colour}' + (' dash' if line.dashed else '')
    parts = []
    if line.area:
        base = HEIGHT - BOTTOM
        outline = f'{scale.x(x[0]):.1f},{base} {points} {scale.x(x[-1]):.1f},{base}'
        parts.append(f'<polygon class="area f{line.colour}" points="{outline}"/>')
    parts.append(f'<polyline class="{style}" points="{points}"/>')
    if len(x) <= MAX_MARKERS and not line.area:
        for value_x, value_y in zip(x, y, strict=True):
            tip = f'{line.name}: {format_number(value_y)} at {format_number(value_x)}'
            centre = f'cx="{scale.x(value_x):.1f}" cy="{scale.y(value_y):.1f}"'
            title = f'<title>{escape(tip)}</title>'
            parts.append(f'<circle class="f{line.colour}" {centre} r="2.6">{title}</circle>')
    return parts


def _rule(rule: Rule, scale: _Scale) -> str:
    """One reference line."""
    style = 'rule' if rule.colour is None else f'rule s{rule.colour}'
    if rule.x is not None:
        x = f'{scale.x(rule.x):.1f}'
        return f'<line class="{style}" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    y = f'{scale.y(rule.y):.1f}'
    return f'<line class="{style}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
