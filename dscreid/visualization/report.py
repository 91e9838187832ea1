"""The report of an experiment, ``report.html``: results, curves, retrieval lists and distances in one file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dscreid.visualization.curve_charts import curves_html
from dscreid.visualization.curves import Scalars
from dscreid.visualization.densities import DistanceDensity, densities_html
from dscreid.visualization.page import (
    joined,
    page_html,
    pairs_table,
    paragraphs_html,
    part,
    write_text_atomically,
)
from dscreid.visualization.results import CROSS_MODAL, ReportRun, directions_of, results_table_html
from dscreid.visualization.retrieval import RetrievalGallery, retrieval_html
from dscreid.visualization.tables import Cell, Table, TableRow

#: Maximum length of a displayed setting value; longer values are cut.
MAX_SETTING = 160


def report_html(
    *,
    title: str,
    runs: Sequence[ReportRun],
    curves: Mapping[str, Scalars | Mapping[str, Scalars]] | None = None,
    differences: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    retrieval: RetrievalGallery | None = None,
    densities: Sequence[DistanceDensity] = (),
    timings: Mapping[str, float] | None = None,
    environment: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    target: str | None = None,
) -> str:
    """Render the report as one HTML document; see :func:`write_report` for the arguments."""
    sections = [
        ('Results', _results_section(runs, notes[1:], target)),
        ('Training', _curves_section(curves or {})),
        ('Config differences', _differences_section(differences or {})),
        ('Retrieval lists', retrieval_html(retrieval)),
        ('Distances', densities_html(densities)),
        ('Wall times', _timings_section(timings or {})),
        ('Environment', _environment_section(environment or {})),
    ]
    return page_html(title, paragraphs_html(notes[:1]), [section for section in sections if section[1]])


def write_report(path: str | Path, **content: Any) -> None:
    """Write the report atomically as one self-contained file. Equal arguments give equal bytes.

    Sections without content are left out.

    Args:
        path: File to write; an existing file is replaced.
        content: Keyword arguments of :func:`report_html`:

            - ``title``: Title of the page.
            - ``runs``: Rows of the results table; gains are relative to the first.
            - ``curves``: Heading → logged values of one run, or heading → run → logged values to draw several runs in
              common charts.
            - ``differences``: Run → dotted key → (value of the first run, value of this run), for the settings in which
              the config of the run differs from that of the first run.
            - ``retrieval``: Retrieval lists with their pictures, or None.
            - ``densities``: Distance densities, one per run.
            - ``timings``: Stage → seconds.
            - ``environment``: Name → version, for example from :func:`collect_environment`.
            - ``notes``: Paragraphs of plain text with `code` between backticks. The first is shown below the title and
              should name the data and the command that made the report; the others are shown below the table.
            - ``target``: Name of the real target dataset, to add the figures of the paper to the table; None for
              synthetic data.

    Raises:
        DatasetError: If a picture cannot be read; in this case, nothing is written.
        OSError: If the file cannot be written; the error names it.
    """
    write_text_atomically(path, report_html(**content))


def format_duration(seconds: float) -> str:
    """Format seconds as ``0.4 s``, ``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds < 9.95:
        return f'{seconds:.1f} s'
    whole = round(seconds)
    if whole < 60:
        return f'{whole} s'
    if whole < 3600:
        return f'{whole // 60} min {whole % 60:02d} s'
    minutes = round(seconds / 60)
    return f'{minutes // 60} h {minutes % 60:02d} min'


def _results_section(runs: Sequence[ReportRun], notes: Sequence[str], target: str | None) -> str:
    """Render the table of both cross-modal directions, a table of the other directions if any, and the notes."""
    evaluated = [run for run in runs if run.metrics]
    legend = []
    if evaluated:
        legend = ['Figures are percentages.']
        if len(evaluated) > 1:
            legend.append('The best one of a column is bold and underlined.')
            legend.append(f'Small figures are percentage points gained over “{evaluated[0].name}”.')
        if any(run.upper_bound for run in evaluated):
            legend.append('Rows in italics used the true labels of the target: bounds, not competitors.')
    parts = [paragraphs_html([' '.join(legend)] if legend else []), results_table_html(runs, target=target)]
    parts.append(
        paragraphs_html([f'{run.name} was not evaluated: {run.reason}.' for run in runs if not run.metrics])
    )
    others = [name for name in directions_of(runs) if name not in CROSS_MODAL]
    if others:
        parts += [part('heading', text='Within one modality'), results_table_html(runs, directions=others)]
    return joined([*parts, paragraphs_html(notes)])


def _curves_section(curves: Mapping[str, Scalars | Mapping[str, Scalars]]) -> str:
    """Render the curves of each stage below its heading; '' if nothing was logged."""
    stages = {
        heading: curves_html({'': logged} if isinstance(logged, Scalars) else logged)
        for heading, logged in curves.items()
    }
    shown = {heading: body for heading, body in stages.items() if body}
    if len(stages) == 1:
        return joined(list(shown.values()))
    return joined([text for heading, body in shown.items() for text in (part('heading', text=heading), body)])


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
    """Format the value of a setting as JSON, shortened if needed."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SETTING else f'{text[: MAX_SETTING - 1]}…'


def _timings_section(timings: Mapping[str, float]) -> str:
    """Render the stages and their durations, with the sum if there are several."""
    rows = {name: format_duration(seconds) for name, seconds in timings.items()}
    if len(timings) > 1:
        rows['Together'] = format_duration(sum(timings.values()))
    return part('table', table=pairs_table(rows, ('Stage', 'Wall time'))) if rows else ''


def _environment_section(environment: Mapping[str, str]) -> str:
    """Render the machine and versions with which the report was made."""
    if not environment:
        return ''
    text = 'The machine and the versions with which this page was made.'
    return joined(
        [paragraphs_html([text]), part('table', table=pairs_table(environment, ('What', 'Version')))]
    )
