"""The style of all pictures and the way they are written; equal drawings give equal bytes."""

import base64
import io
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dscreid.errors import ConfigError
from dscreid.utils.files import replacing

MUTED = '#59636e'
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
