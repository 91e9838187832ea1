"""HTML pages from the templates of this package: one file each that asks for nothing from outside."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from dscreid.utils.files import replacing
from dscreid.visualization.charts import NUM_COLORS
from dscreid.visualization.tables import Cell, Table, TableRow

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> 'Environment':
    """The templates; every value is escaped unless a template made it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name('templates'), encoding='utf-8'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {'code': _code, 'breakable': _breakable}
    return environment


def part(name: str, **values: Any) -> Markup:
    """A part of a page, as HTML that :func:`page_html` and other parts take as it is.

    Args:
        name: A macro of ``templates/parts.html``.
        values: Its arguments; texts among them are escaped.
    """
    return getattr(_environment().get_template('parts.html').module, name)(**values)


def page_html(title: str, introduction: str, sections: Sequence[tuple[str, str]]) -> str:
    """A complete HTML document.

    Args:
        title: Plain text of the title.
        introduction: HTML below the title, made by :func:`part`.
        sections: (plain heading, HTML made by :func:`part`) pairs in order; the page's contents link to them.
    """
    template = _environment().get_template('page.html')
    return template.render(
        title=title, introduction=introduction, sections=sections, colors=range(NUM_COLORS)
    )


def joined(parts: Sequence[str]) -> Markup:
    """Parts of a page, one after the other."""
    return Markup('\n').join(parts)


def paragraphs_html(texts: Sequence[str]) -> Markup:
    """Plain texts as paragraphs; text between backticks becomes code."""
    return part('paragraphs', texts=texts)


def pairs_table(pairs: Mapping[str, str], headings: tuple[str, str]) -> Table:
    """A table of two columns."""
    rows = [TableRow(name, [Cell(value)]) for name, value in pairs.items()]
    return Table(headings[0], headings[0], [('', headings[1])], rows, texts=True)


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a text file completely or not at all.

    Args:
        path: Where to write; missing parent folders are made.
        text: Content, written as UTF-8.

    Raises:
        OSError: The file cannot be written; the error names it.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8', newline='\n')


def _code(text: str) -> Markup:
    """Escaped text in which backticks mark code."""
    return Markup(re.sub('`([^`]+)`', r'<code>\1</code>', str(escape(text))))


def _breakable(text: str) -> Markup:
    """Escaped text that may break after dots, as long keys of settings must on a phone."""
    return Markup('.<wbr>').join(text.split('.'))
