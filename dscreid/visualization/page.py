"""HTML pages and their tables, made from the templates of this package; each page is one self-contained file."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dscreid.utils.files import replacing


class TableRow(NamedTuple):
    """A row with a remark after its name and style 'bound', 'paper' or ''; without cells, a heading of those below."""

    name: str
    cells: Sequence[str] = ()
    remark: str = ''
    kind: str = ''


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
    environment.filters['code'] = _code
    return environment


def part(name: str, **values: Any) -> Markup:
    """Render a macro of ``templates/parts.html`` as HTML that other parts do not escape again; texts are escaped."""
    return getattr(_environment().get_template('parts.html').module, name)(**values)


def page_html(title: str, introduction: str, sections: Sequence[tuple[str, str]]) -> str:
    """Render a document from a title, HTML of :func:`part`, and (heading, HTML) per section that has one."""
    template = _environment().get_template('page.html')
    return template.render(title=title, introduction=introduction, sections=sections)


def paragraphs_html(texts: Sequence[str]) -> Markup:
    """Render plain texts as paragraphs; text between backticks becomes code."""
    return part('paragraphs', texts=texts)


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically, with escapes for what is not UTF-8; missing parent folders are created."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8', errors='backslashreplace', newline='\n')


def _code(text: str) -> Markup:
    return Markup(re.sub('`([^`]+)`', r'<code>\1</code>', str(escape(text))))
