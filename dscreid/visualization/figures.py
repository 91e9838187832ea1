"""Style and files of all pictures, and the line charts of a page; equal drawings give equal bytes."""

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dscreid.errors import ConfigError
from dscreid.utils.files import replacing

MUTED = '#59636e'
#: Colors that can be read on a white and on a dark page.
COLORS = ('#2f74d8', '#d0661a', '#1b9355', '#9a54cc', '#1493a8', '#cc3d72', '#808f1f', '#78838f')
MAX_POINTS = 300
MAX_MARKERS = 60
_STYLE = Path(__file__).with_name('templates') / 'pictures.mplstyle'
#: Suffix of a picture → metadata without which equal pictures would differ.
_METADATA: dict[str, dict[str, str | None]] = {'.png': {'Software': None}, '.svg': {'Date': None}}


def styled() -> Any:
    """Decorator of functions that draw: they create figures, axes and texts in the style of this package."""
    return style.context(_STYLE)


def show_image(axes: Axes, image: Any, **settings: Any) -> None:
    """Draw an image without ticks and frame."""
    axes.imshow(image, interpolation='bicubic', **settings)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def add_note(figure: Figure, note: str) -> None:
    """Write a line below everything else; nothing if it is empty."""
    if note:
        figure.supxlabel(note, fontsize=10, color=MUTED)


def check_picture_name(path: str | Path) -> None:
    """Raise a ConfigError if the name of a picture does not end in ``.png`` or ``.svg``."""
    if Path(path).suffix.lower() not in _METADATA:
        raise ConfigError(f'{path}: pictures are PNG or SVG files; use a name that ends in .png or .svg.')


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically, as PNG or SVG by the suffix of the path."""
    check_picture_name(path)
    with replacing(path) as temporary:
        temporary.write_bytes(_encoded(figure, Path(path).suffix.lower()))


def figure_uri(figure: Figure, kind: str = 'svg') -> str:
    """Encode a figure for a page as ``data:image/…;base64,…``; ``kind`` is ``'svg'`` or ``'png'``."""
    mime = {'svg': 'svg+xml', 'png': 'png'}[kind]
    return f'data:image/{mime};base64,{base64.b64encode(_encoded(figure, f".{kind}")).decode("ascii")}'


@styled()
def _encoded(figure: Figure, suffix: str) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=suffix[1:], dpi=150, metadata=_METADATA[suffix])
    return stream.getvalue()


class Series(NamedTuple):
    """One line of a chart with its name in the legend: ascending finite x, and y, in which NaN leaves a gap."""

    name: str
    x: np.ndarray
    y: np.ndarray
    color: str = COLORS[0]
    style: str = 'solid'  #: or 'dashed'
    area: bool = False  #: whether the area below the line is filled


class Rule(NamedTuple):
    """A reference line across the chart at a value of the y axis, or of x if ``vertical``."""

    name: str
    at: float
    vertical: bool = False
    color: str = MUTED
    style: str = 'dotted'


class Card(NamedTuple):
    """A chart from :func:`line_chart`, or '', with title, text alternative, legend and captions."""

    title: str
    chart: str = ''
    description: str = ''
    legend: Sequence[Series | Rule] = ()
    captions: Sequence[str] = ()


class Whisker(NamedTuple):
    """A mean with an interval, or None for none, the values that it is the mean of, and what it belongs to."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    points: Sequence[float] = ()


def format_number(value: float) -> str:
    """Format a tick or table value with at most four significant digits; counts below 10 million stay whole."""
    text = f'{value:,.0f}' if 1000 <= abs(value) < 1e7 else f'{value:.4g}'
    return text.replace(',', '\u202f').replace('-', '−')


def thin_out(values: np.ndarray, limit: int = MAX_POINTS) -> np.ndarray:
    """Reduce a series to at most ``limit`` values by averaging runs of neighbors; the last value is kept."""
    if len(values) <= limit:
        return values
    edges = np.linspace(0, len(values) - 1, limit).astype(int)
    return np.append(np.add.reduceat(values[:-1], edges[:-1]) / np.diff(edges), values[-1])


@styled()
def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    rules: Sequence[Rule] = (),
    from_zero: bool = True,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    y_ticks: bool = True,
) -> str:
    """Draw lines, at least one with a finite point, as the data URI of an SVG picture.

    The y axis starts at zero if ``from_zero`` and no value is negative, stays within ``bounds``, and has labels and a
    grid if ``y_ticks``. Equal arguments give equal text.
    """
    figure = Figure(figsize=(5, 3))
    axes = figure.subplots()
    for line in series:
        x, y = thin_out(line.x), thin_out(line.y)
        if line.area:
            axes.fill_between(x, y, color=line.color, alpha=0.16, linewidth=0)
        marker = 'o' if len(x) <= MAX_MARKERS and not line.area else ''
        axes.plot(x, y, linestyle=line.style, color=line.color, linewidth=2, marker=marker, markersize=5, clip_on=False)
    for rule in rules:
        draw = axes.axvline if rule.vertical else axes.axhline
        draw(rule.at, color=rule.color, linewidth=1.5, linestyle=(0, (2, 2)))
    axes.margins(x=0, y=0.06)
    low, high = axes.get_ylim()
    if from_zero and np.nanmin(np.concatenate([line.y for line in series])) >= 0:
        low = 0.0
    axes.set_ylim(max(low, bounds[0]), min(high, bounds[1]))
    _style_axes(axes, x_label, y_ticks, whole=all(np.all(np.mod(line.x, 1) == 0) for line in series))
    return figure_uri(figure)


@styled()
def whisker_figure(whiskers: Sequence[Whisker], *, x_label: str) -> Figure:
    """Draw means with their intervals and single values, one below the other, and a line at zero."""
    figure = Figure(figsize=(6, 0.9 + 0.32 * len(whiskers)))
    axes = figure.subplots()
    axes.axvline(0, color=MUTED, linewidth=1.5, linestyle=(0, (2, 2)))
    for place, one in enumerate(reversed(whiskers)):
        if one.interval is not None:
            axes.plot(one.interval, (place, place), color=COLORS[0], linewidth=2)
        axes.plot(one.points, [place] * len(one.points), 'o', color=MUTED, markersize=4, alpha=0.6)
        axes.plot(one.value, place, marker='o', color=COLORS[0], markersize=7)
    axes.set_yticks(range(len(whiskers)), [one.name for one in reversed(whiskers)])
    axes.set_ylim(-0.6, len(whiskers) - 0.4)
    axes.spines[['left', 'right', 'top']].set_visible(False)
    axes.tick_params(length=0, pad=6, labelsize=11)
    axes.set_xlabel(x_label, fontsize=12)
    axes.grid(True, axis='x')
    axes.set_axisbelow(True)
    return figure


def _style_axes(axes: Axes, x_label: str, y_ticks: bool, *, whole: bool) -> None:
    axes.spines[['left', 'right', 'top']].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, position: format_number(round(value, 12))))
    axes.tick_params(length=0, pad=6, labelsize=12, labelleft=y_ticks)
    axes.set_xlabel(x_label, fontsize=12)
    axes.grid(y_ticks, axis='y')
    axes.set_axisbelow(True)
