"""The style of all pictures and the way they are written; equal drawings give equal bytes."""

import base64
import io
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dscreid.errors import ConfigError
from dscreid.utils.files import replacing

INK, MUTED, EDGE, GRID = '#1f2328', '#59636e', '#d1d9e0', '#e7eaef'
RIGHT_COLOR, WRONG_COLOR = '#1a7f37', '#cf222e'
_FORMATS = ('.png', '.svg')
_METADATA: dict[str, dict[str, str | None]] = {'png': {'Software': None}, 'svg': {'Date': None}}
#: Text stays text in SVG files, and ``$`` in the name of a run is no formula.
_STYLE = {
    'svg.hashsalt': 'dscreid',
    'svg.fonttype': 'none',
    'text.parse_math': False,
    'figure.facecolor': 'white',
    'figure.constrained_layout.use': True,
    'text.color': INK,
    'axes.labelcolor': MUTED,
    'axes.edgecolor': EDGE,
    'axes.titlesize': 12,
    'axes.titlecolor': INK,
    'xtick.labelcolor': MUTED,
    'ytick.labelcolor': MUTED,
    'grid.color': GRID,
    'legend.frameon': False,
    'legend.labelcolor': INK,
}


def styled() -> Any:
    """Decorator of functions that draw: they create figures, axes and texts in the style of this package."""
    return rc_context(_STYLE)


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
    if Path(path).suffix.lower() not in _FORMATS:
        raise ConfigError(f'{path}: pictures are PNG or SVG files; use a name that ends in .png or .svg.')


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically, as PNG or SVG by the suffix of the path.

    Raises:
        ConfigError: If the name has another suffix.
        OSError: If the file cannot be written; the error names it.
    """
    check_picture_name(path)
    with replacing(path) as temporary:
        temporary.write_bytes(_encoded(figure, Path(path).suffix.lower()[1:]))


def figure_uri(figure: Figure, kind: str = 'svg') -> str:
    """Encode a figure for a page as ``data:image/…;base64,…``; ``kind`` is ``'svg'`` or ``'png'``."""
    mime = {'svg': 'svg+xml', 'png': 'png'}[kind]
    return f'data:image/{mime};base64,{base64.b64encode(_encoded(figure, kind)).decode("ascii")}'


def _encoded(figure: Figure, kind: str) -> bytes:
    stream = io.BytesIO()
    with rc_context(_STYLE):
        figure.savefig(stream, format=kind, dpi=150, metadata=_METADATA[kind])
    return stream.getvalue()
