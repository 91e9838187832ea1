"""Pictures drawn by matplotlib as files: equal drawings give equal bytes."""

from pathlib import Path
from typing import TYPE_CHECKING

from dscreid.errors import ConfigError
from dscreid.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Pixels per inch of a PNG file: a picture of 9 inches is sharp at a width of 900 CSS pixels on most screens.
RESOLUTION = 150
_FORMATS = ('.png', '.svg')
#: Without a date, and with fixed ids in SVG files.
_SETTINGS = {'svg.hashsalt': 'dscreid'}
_METADATA: dict[str, dict[str, str | None]] = {'.png': {'Software': None}, '.svg': {'Date': None}}


def check_picture_name(path: str | Path) -> None:
    """Check that a picture can be written in the format that its name asks for.

    Raises:
        ConfigError: If the name does not end in ``.png`` or ``.svg``.
    """
    if Path(path).suffix.lower() not in _FORMATS:
        raise ConfigError(f'{path}: the format of a picture is PNG or SVG; let the name end in .png or .svg.')


def save_figure(figure: 'Figure', path: str | Path) -> None:
    """Write a figure completely or not at all.

    Args:
        figure: What to write.
        path: File whose suffix, ``.png`` or ``.svg``, gives the format; replaced if it exists.

    Raises:
        ConfigError: If the name has another suffix.
        OSError: If the file cannot be written; the error names it.
    """
    check_picture_name(path)
    import matplotlib

    suffix = Path(path).suffix.lower()
    with matplotlib.rc_context(_SETTINGS), replacing(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=RESOLUTION, metadata=_METADATA[suffix])
