"""The page around the report's sections: one file that asks for nothing from outside."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from dscreid.utils.files import replacing

_STYLE = """
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #ffffff; --ink: #1c2430; --muted: #5b6675;
  --edge: #d9dee6; --grid: #e7eaef; --right: #12804a; --wrong: #c4302b; --accent: #2563c9;
  --c0: #2563c9; --c1: #c2570c; --c2: #12804a; --c3: #8a3fc4; --c4: #0c7f93; --c5: #b8285f; --c6: #6b7a12;
  --c7: #5b6675; }
@media (prefers-color-scheme: dark) { :root { --bg: #12161c; --card: #1b212a; --ink: #e6eaf0;
  --muted: #9aa6b5; --edge: #323b48; --grid: #2a323d; --right: #46c687; --wrong: #ff7b72; --accent: #7fb0ff;
  --c0: #7fb0ff; --c1: #f5a25d; --c2: #46c687; --c3: #c79bf2; --c4: #4fc4d8; --c5: #f58ab0; --c6: #bccb53;
  --c7: #9aa6b5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 1.5rem clamp(0.8rem, 3vw, 2rem) 3rem; }
h1 { font-size: clamp(1.4rem, 4vw, 1.9rem); line-height: 1.25; margin: 0 0 0.6rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 0.7rem; padding-bottom: 0.25rem;
  border-bottom: 1px solid var(--edge); }
h3 { font-size: 1.05rem; margin: 1.4rem 0 0.6rem; }
h4 { font-size: 0.95rem; margin: 0 0 0.3rem; }
p { max-width: 75ch; margin: 0.5rem 0; }
nav ul, .legend, .ranks { list-style: none; margin: 0; padding: 0; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; }
a { color: var(--accent); }
code { font: 0.88em ui-monospace, "DejaVu Sans Mono", Consolas, monospace; background: var(--grid);
  padding: 0.08em 0.3em; border-radius: 3px; overflow-wrap: anywhere; }
.muted, .empty, figcaption, caption { color: var(--muted); }
.muted { font-weight: normal; font-size: 0.88em; }
.empty { font-style: italic; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
.scroll > table { background: var(--card); border: 1px solid var(--edge); }
th, td { padding: 0.35rem 0.55rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--grid); }
thead th { white-space: nowrap; border-bottom: 1px solid var(--edge); vertical-align: bottom; }
th[scope="row"], thead tr:first-child th:first-child { text-align: left; font-weight: 600; }
th[scope="colgroup"] { text-align: center; border-left: 1px solid var(--edge); }
th.edge, td.edge { border-left: 1px solid var(--edge); }
table.results { width: 100%; }
table.results thead th { white-space: normal; }
table.results td { white-space: nowrap; }
table.results th[scope="row"] { min-width: 11rem; }
tr.bound { color: var(--muted); font-style: italic; }
tr.section th { text-align: left; color: var(--muted); padding-top: 0.9rem; }
tr.paper th[scope="row"] { font-weight: normal; }
td strong { font-weight: 750; text-decoration: underline; text-underline-offset: 3px; }
td small { display: block; font-size: 0.78em; color: var(--muted); font-style: normal; }
td small.up { color: var(--right); }
td small.down { color: var(--wrong); }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 0.9rem;
  align-items: start; margin-bottom: 0.9rem; }
.card { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; padding: 0.8rem 0.9rem;
  margin: 0; }
figcaption { font-size: 0.85rem; margin-top: 0.2rem; }
details { font-size: 0.85rem; margin-top: 0.4rem; }
details table { margin-top: 0.3rem; display: block; max-height: 16rem; overflow: auto; }
summary { cursor: pointer; color: var(--muted); }
.legend { display: flex; flex-wrap: wrap; gap: 0.1rem 0.9rem; font-size: 0.82rem; }
.swatch { display: inline-block; width: 1.3em; height: 0; margin-right: 0.35em; vertical-align: middle;
  border-top: 3px solid var(--muted); }
.swatch.dash { border-top-style: dashed; }
svg.chart { display: block; width: 100%; height: auto; }
svg text { fill: var(--muted); font-size: 12.5px; }
svg .grid { stroke: var(--grid); }
svg .axis { stroke: var(--edge); }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .line.dash { stroke-dasharray: 7 4; }
.rule { stroke: var(--muted); stroke-width: 1.5; stroke-dasharray: 3 4; }
svg .area { fill-opacity: 0.16; }
.query { display: flex; flex-wrap: wrap; gap: 0.9rem 1.2rem; margin-bottom: 0.9rem; }
.probe { margin: 0; text-align: center; }
.probe img, .ranks img { display: block; height: 8.5rem; width: auto; max-width: 100%; border-radius: 3px;
  image-rendering: auto; background: var(--grid); }
.probe img { border: 3px solid var(--muted); }
.lists { flex: 1 1 20rem; display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 0.8rem 1.2rem; min-width: 0; }
.ranks { display: flex; flex-wrap: wrap; gap: 0.45rem; }
.ranks li { text-align: center; font-size: 0.8rem; font-variant-numeric: tabular-nums; }
.ranks img { border: 3px solid; }
.right img { border-color: var(--right); }
.wrong img { border-color: var(--wrong); border-style: dashed; }
.right span, .key.right { color: var(--right); font-weight: 600; }
.wrong span, .key.wrong { color: var(--wrong); font-weight: 600; }
.key { border: 2px solid; border-radius: 4px; padding: 0 0.35em; white-space: nowrap; font-size: 0.88em; }
.key.wrong { border-style: dashed; }
@media (max-width: 600px) { svg text { font-size: 14px; }
  table.results th[scope="row"] { min-width: 8rem; }
  .ranks img { height: 6.2rem; } .probe img { height: 7rem; } }
@media print { .card { break-inside: avoid; } details { display: none; } }
"""

_COLOURS = '\n'.join(
    f'.s{number} {{ stroke: var(--c{number}); }} .f{number} {{ fill: var(--c{number}); }} '
    f'.swatch.c{number} {{ border-top-color: var(--c{number}); }}'
    for number in range(8)
)


def page_html(title: str, introduction: str, sections: Sequence[tuple[str, str]]) -> str:
    """A whole HTML document.

    Args:
        title: Plain text of the title.
        introduction: HTML below the title.
        sections: (plain heading, HTML) pairs in order; the page's contents link to them.
    """
    links, bodies = [], []
    for number, (heading, body) in enumerate(sections, 1):
        links.append(f'<li><a href="#s{number}">{escape(heading)}</a></li>')
        bodies.append(f'<section id="s{number}" aria-labelledby="h{number}">')
        bodies.append(f'<h2 id="h{number}">{escape(heading)}</h2>\n{body}\n</section>')
    return '\n'.join(
        [
            '<!DOCTYPE html>',
            '<html lang="en">',
            '<head>',
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{escape(title)}</title>',
            f'<style>{_STYLE}{_COLOURS}\n</style>',
            '</head>',
            '<body>',
            '<main>',
            f'<header><h1>{escape(title)}</h1>\n{introduction}</header>',
            f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>',
            *bodies,
            '</main>',
            '</body>',
            '</html>',
            '',
        ]
    )


def paragraphs_html(texts: Sequence[str]) -> str:
    """Plain texts as paragraphs; what stands between backticks becomes code."""
    marked = [re.sub('`([^`]+)`', r'<code>\1</code>', escape(text)) for text in texts]
    return '\n'.join(f'<p>{text}</p>' for text in marked)


def pairs_html(pairs: Mapping[str, str], headings: tuple[str, str]) -> str:
    """A table of two columns, or a sentence when it would be empty."""
    if not pairs:
        return '<p class="empty">Nothing was recorded.</p>'
    head = ''.join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    rows = ''.join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in pairs.items()
    )
    return (
        f'<div class="scroll" role="region" aria-label="{escape(headings[0])}" tabindex="0">'
        f'<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a file whole or not at all: into a temporary file beside it that is then renamed.

    Args:
        path: Where to write; missing parent folders are made.
        text: Content, written as UTF-8.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8', newline='\n')
