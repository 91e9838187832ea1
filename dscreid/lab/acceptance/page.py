"""The page of an acceptance: the outcome of each step, and its figures."""

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from dscreid.lab.acceptance.ways import fastest_lines
from dscreid.visualization.page import TableRow, page_html, paragraphs_html, part

#: Heading of the choice of settings.
FASTEST = 'Settings that were fastest here'


def acceptance_html(record: Mapping[str, Any]) -> str:
    """Render the page of a record of :func:`dscreid.lab.acceptance.run_steps`."""
    outcomes: Mapping[str, Mapping[str, Any]] = record['steps']
    rows = [
        TableRow(one['title'], [one['status'], f'{one["seconds"]:g}', f'{one["limit"]:g}']) for one in outcomes.values()
    ]
    columns = ('outcome', 'seconds', 'limit')
    overview = part('table', label='Steps', corner='step', columns=columns, rows=rows, texts=True)
    sections = [('Steps', overview)]
    if lines := fastest_lines(record.get('fastest', {})):
        sections.append((FASTEST, paragraphs_html([f'`{line}`' for line in lines])))
    sections += [(str(one['title']), _section(one)) for one in outcomes.values()]
    return page_html('Acceptance on a GPU', paragraphs_html(_introduction(record)), sections)


def status_line(outcome: Mapping[str, Any]) -> str:
    """Describe the outcome of a step in one line."""
    reason = f': {outcome["error"]}' if 'error' in outcome else ''
    return f'{outcome["status"]:8}{outcome["seconds"]:6.1f} s  {outcome["title"]}{reason}'


def _introduction(record: Mapping[str, Any]) -> list[str]:
    machine = record['steps'].get('machine', {}).get('results', {})
    texts = [f'{machine.get("device", "unknown device")}, torch {machine.get("torch", "unknown")}, {record["date"]}.']
    if record['pretend']:
        texts.append('A rehearsal on the processor with tiny sizes (`--pretend`): none of the figures is about a GPU.')
    return texts


def _section(outcome: Mapping[str, Any]) -> Markup:
    texts = [outcome['error']] if 'error' in outcome else []
    rows = [TableRow(name, [value]) for name, value in _flat(outcome['results'])]
    table = (
        part('table', label='Figures', corner='figure', columns=('value',), rows=rows, texts=True) if rows else Markup()
    )
    return paragraphs_html(texts) + table


def _flat(value: Any, name: str = '') -> Iterator[tuple[str, str]]:
    """Yield name and text of each value in nested dictionaries and lists."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f'{name} · {key}' if name else str(key))
    elif isinstance(value, list) and any(isinstance(inner, (Mapping, list)) for inner in value):
        for number, inner in enumerate(value, start=1):
            yield from _flat(inner, f'{name} {number}')
    else:
        yield name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.4g}'
    return ', '.join(map(_text, value)) if isinstance(value, list) else str(value)
