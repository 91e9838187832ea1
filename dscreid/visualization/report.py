"""``report.html``: results, curves, retrieval lists and distances of an experiment in one file."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from dscreid.visualization.curves import Scalars, curves_html
from dscreid.visualization.densities import DistanceDensity, densities_html
from dscreid.visualization.page import page_html, pairs_html, paragraphs_html, write_text_atomically
from dscreid.visualization.results import CROSS_MODAL, ReportRun, directions_of, results_table_html
from dscreid.visualization.retrieval import RetrievalGallery, retrieval_html


def report_html(
    *,
    title: str,
    runs: Sequence[ReportRun],
    curves: Mapping[str, Scalars] | None = None,
    retrieval: RetrievalGallery | None = None,
    densities: Sequence[DistanceDensity] = (),
    timings: Mapping[str, float] | None = None,
    environment: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    target: str | None = None,
) -> str:
    """The report as one HTML document; see :func:`write_report` for the arguments."""
    sections = [
        ('Results', _results_section(runs, notes[1:], target)),
        ('Training', _curves_section(curves or {})),
        ('Retrieval lists', retrieval_html(retrieval)),
        ('Distances', _densities_section(densities)),
        ('Wall times', _timings_html(timings or {})),
        ('Environment', pairs_html(environment or {}, ('What', 'Version'))),
    ]
    return page_html(title, paragraphs_html(notes[:1]), sections)


def write_report(
    path: str | Path,
    *,
    title: str,
    runs: Sequence[ReportRun],
    curves: Mapping[str, Scalars] | None = None,
    retrieval: RetrievalGallery | None = None,
    densities: Sequence[DistanceDensity] = (),
    timings: Mapping[str, float] | None = None,
    environment: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    target: str | None = None,
) -> None:
    """Write the report: one self-contained file, whole or not at all. Equal arguments give equal bytes.

    Args:
        path: File to write, replaced if it exists.
        title: Title of the page.
        runs: Rows of the table; gains are counted from the first.
        curves: Name of a training stage → what it logged.
        retrieval: Retrieval lists with their pictures, or None.
        densities: Distance densities, one per run.
        timings: Stage → seconds.
        environment: What → version, for example :func:`collect_environment`'s.
        notes: Paragraphs of plain text, `code` between backticks: the first, below the title, says which data
            were used and which command made the report; the others stand below the table.
        target: Name of the real target dataset, to print the paper's own figures in the table; None for
            synthetic data.

    Raises:
        DatasetError: If a picture cannot be read; nothing is written then.
    """
    html = report_html(
        title=title,
        runs=runs,
        curves=curves,
        retrieval=retrieval,
        densities=densities,
        timings=timings,
        environment=environment,
        notes=notes,
        target=target,
    )
    write_text_atomically(path, html)


def format_duration(seconds: float) -> str:
    """Seconds as ``0.4 s``, ``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
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
    """The table of both cross-modal directions, one of the others if there are any, and the notes."""
    parts = [results_table_html(runs, target=target)]
    if runs:
        legend = 'Percent; the best figure of a column is bold and underlined.'
        if len(runs) > 1:
            legend += f' Small figures: percentage points gained over “{runs[0].name}”.'
        if any(run.upper_bound for run in runs):
            legend += ' Rows in italics used the true labels of the target and are bounds, not competitors.'
        parts.append(paragraphs_html([legend]))
    others = [name for name in directions_of(runs) if name not in CROSS_MODAL]
    if others:
        parts += ['<h3>Within one modality</h3>', results_table_html(runs, directions=others)]
    return '\n'.join([*parts, paragraphs_html(notes)])


def _curves_section(curves: Mapping[str, Scalars]) -> str:
    """The curves of every stage below its name."""
    if not curves:
        return curves_html(Scalars({}))
    titled = len(curves) > 1
    return '\n'.join(
        (f'<h3>{escape(name)}</h3>\n' if titled else '') + curves_html(scalars)
        for name, scalars in curves.items()
    )


def _densities_section(densities: Sequence[DistanceDensity]) -> str:
    """Densities with a sentence that says what they are."""
    if not densities:
        return densities_html(densities)
    text = (
        'Cosine distances of all pairs of a visible and an infrared tracklet of the test set. The further '
        'the two densities lie apart, the better persons are told apart across the modalities.'
    )
    return f'{paragraphs_html([text])}\n{densities_html(densities)}'


def _timings_html(timings: Mapping[str, float]) -> str:
    """Stages and their durations, with the sum when there are several."""
    rows = {name: format_duration(seconds) for name, seconds in timings.items()}
    if len(timings) > 1:
        rows['Together'] = format_duration(sum(timings.values()))
    return pairs_html(rows, ('Stage', 'Wall time'))
