"""The report of an experiment, ``report.html``: results, curves, pictures and distances in one file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscreid.visualization.curve_charts import curves_html
from dscreid.visualization.curves import Scalars
from dscreid.visualization.densities import DistanceDensity, densities_html
from dscreid.visualization.page import (
    joined,
    page_html,
    pairs_table_html,
    paragraphs_html,
    part,
    write_text_atomically,
)
from dscreid.visualization.results import CROSS_MODAL, ReportRun, directions_of, results_table_html
from dscreid.visualization.retrieval import RetrievalGallery, retrieval_html
from dscreid.visualization.tables import Cell, Table, TableRow

#: Maximum length of a displayed setting value; longer values are cut.
MAX_SETTING = 160


@dataclass(frozen=True)
class ReportPicture:
    """A picture in its own section, as a data URI; if it is missing, the caption says why."""

    heading: str
    caption: str
    source: str = ''
    description: str = ''


def report_html(
    *,
    title: str,
    runs: Sequence[ReportRun],
    curves: Mapping[str, Scalars | Mapping[str, Scalars]] | None = None,
    differences: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    retrieval: RetrievalGallery | None = None,
    densities: Sequence[DistanceDensity] = (),
    pictures: Sequence[ReportPicture] = (),
    timings: Mapping[str, float] | None = None,
    environment: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    target: str | None = None,
) -> str:
    """Render the report as one HTML document. Equal arguments give equal text; sections without content are left out.

    Args:
        title: Title of the page.
        runs: Rows of the results table; gains are relative to the first.
        curves: Heading → logged values, or heading → run → logged values to draw several runs in common charts.
        differences: Run → dotted key → (value of the first run, value of this run), for settings that differ.
        retrieval: Retrieval lists with their pictures.
        densities: Distance densities, one per run.
        pictures: Other pictures.
        timings: Stage → seconds.
        environment: Name → version, for example from :func:`collect_environment`.
        notes: Plain paragraphs with `code` between backticks, the first below the title, the others below the table.
        target: Name of the real target dataset, to add the figures of the paper to the table; None for synthetic data.

    Raises:
        DatasetError: If a picture cannot be read.
    """
    sections = [
        ('Results', _results_section(runs, notes[1:], target)),
        ('Training', _curves_section(curves or {})),
        ('Config differences', _differences_section(differences or {})),
        ('Retrieval lists', retrieval_html(retrieval)),
        ('Distances', densities_html(densities)),
        *((picture.heading, _picture_section(picture)) for picture in pictures),
        ('Wall times', _timings_section(timings or {})),
        ('Environment', pairs_table_html(environment, ('What', 'Version')) if environment else ''),
    ]
    return page_html(title, paragraphs_html(notes[:1]), sections)


def write_report(path: str | Path, **content: Any) -> None:
    """Write :func:`report_html` of the keyword arguments atomically; nothing is written after an error."""
    write_text_atomically(path, report_html(**content))


def format_duration(seconds: float) -> str:
    """Format seconds as ``0.4 s``, ``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    whole = round(seconds)
    if seconds < 9.95:
        return f'{seconds:.1f} s'
    if whole < 60:
        return f'{whole} s'
    if whole < 3600:
        return f'{whole // 60} min {whole % 60:02d} s'
    minutes = round(seconds / 60)
    return f'{minutes // 60} h {minutes % 60:02d} min'


def _results_section(runs: Sequence[ReportRun], notes: Sequence[str], target: str | None) -> str:
    """Render the table of both cross-modal directions, a table of the other directions if any, and the notes."""
    evaluated = [run for run in runs if run.metrics]
    legend = ['Figures are percentages.'] if evaluated else []
    if len(evaluated) > 1:
        legend.append('The best one of a column is bold and underlined.')
        legend.append(f'Small figures are percentage points gained over “{evaluated[0].name}”.')
    if any(run.upper_bound for run in evaluated):
        legend.append('Rows in italics used the true labels of the target: bounds, not competitors.')
    missing = [f'{run.name} was not evaluated: {run.reason}.' for run in runs if not run.metrics]
    parts = [paragraphs_html([' '.join(legend)] if legend else []), results_table_html(runs, target=target)]
    parts.append(paragraphs_html(missing))
    if others := [name for name in directions_of(runs) if name not in CROSS_MODAL]:
        parts += [part('heading', text='Within one modality'), results_table_html(runs, directions=others)]
    return joined([*parts, paragraphs_html(notes)])


def _curves_section(curves: Mapping[str, Scalars | Mapping[str, Scalars]]) -> str:
    """Render the curves of each stage below its heading; '' if nothing was logged."""
    parts = []
    for heading, logged in curves.items():
        if body := curves_html({'': logged} if isinstance(logged, Scalars) else logged):
            parts += [part('heading', text=heading), body] if len(curves) > 1 else [body]
    return joined(parts)


def _differences_section(differences: Mapping[str, Mapping[str, Sequence[Any]]]) -> str:
    """Render a table of the settings in which runs differ from the first, with one column per run."""
    keys = list(dict.fromkeys(key for differing in differences.values() for key in differing))
    if not keys:
        equal = 'The configs of these runs have the same settings.'
        return paragraphs_html([equal]) if len(differences) > 1 else ''
    rows = []
    for key in keys:
        reference = next(differing[key][0] for differing in differences.values() if key in differing)
        values = [differing.get(key, (reference, reference))[1] for differing in differences.values()]
        rows.append(TableRow(key, [Cell(_setting(value)) for value in values]))
    columns = [('', name) for name in differences]
    return part('table', table=Table('Settings that differ', 'Setting', columns, rows, texts=True))


def _setting(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SETTING else f'{text[: MAX_SETTING - 1]}…'


def _picture_section(picture: ReportPicture) -> str:
    return part('picture', picture=picture) if picture.source else paragraphs_html([picture.caption])


def _timings_section(timings: Mapping[str, float]) -> str:
    rows = {name: format_duration(seconds) for name, seconds in timings.items()}
    if len(timings) > 1:
        rows['Together'] = format_duration(sum(timings.values()))
    return pairs_table_html(rows, ('Stage', 'Wall time')) if rows else ''
