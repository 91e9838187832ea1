"""HTML pages made from the templates of this package; each is one self-contained file."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dscreid.utils.files import replacing
from dscreid.visualization.tables import Cell, Table, TableRow


@cache
def _environment() -> Environment:
    """Load the templates; every value is escaped unless it was made by a template."""
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
    """Render a macro of ``templates/parts.html`` as HTML that other parts do not escape again; texts are escaped."""
    return getattr(_environment().get_template('parts.html').module, name)(**values)


def page_html(title: str, introduction: str, sections: Sequence[tuple[str, str]]) -> str:
    """Render a complete document from a plain title, HTML of :func:`part`, and (plain heading, HTML) per section."""
    shown = [section for section in sections if section[1]]
    template = _environment().get_template('page.html')
    return template.render(title=title, introduction=introduction, sections=shown)


def joined(parts: Sequence[str]) -> Markup:
    """Join parts of a page."""
    return Markup('\n').join(parts)


def paragraphs_html(texts: Sequence[str]) -> Markup:
    """Render plain texts as paragraphs; text between backticks becomes code."""
    return part('paragraphs', texts=texts)


def pairs_table_html(pairs: Mapping[str, str], headings: tuple[str, str]) -> Markup:
    """Render a table with two columns."""
    rows = [TableRow(name, [Cell(value)]) for name, value in pairs.items()]
    return part('table', table=Table(headings[0], headings[0], [('', headings[1])], rows, texts=True))


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically; missing parent folders are created."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8', newline='\n')


def _code(text: str) -> Markup:
    """Escape a text and turn parts between backticks into code."""
    return Markup(re.sub('`([^`]+)`', r'<code>\1</code>', str(escape(text))))


def _breakable(text: str) -> Markup:
    """Escape a text and allow line breaks after dots, so that long setting keys fit on a phone."""
    return Markup('.<wbr>').join(text.split('.'))
